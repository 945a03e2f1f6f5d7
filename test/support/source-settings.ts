import { Settings } from '#common/config/environment.js';
import type { FileConfig } from '../../apps/ingestor/src/sources/file/file.config.js';
import type { HttpConfig } from '../../apps/ingestor/src/sources/http/http.config.js';
import type { RawConfig } from '../../apps/ingestor/src/sources/raw/raw.config.js';
import type { S3Config } from '../../apps/ingestor/src/sources/s3/s3.config.js';
import type { TopicConfig } from '../../apps/ingestor/src/sources/topic/topic.config.js';
import { SOURCE_KINDS } from '../../apps/ingestor/src/sources/source-kinds.js';
import { SourceConfig } from '../../apps/ingestor/src/sources/source.config.js';

/** Settings that a test changes, of whichever class they are. */
export type SourceSettings = Partial<
  SourceConfig & HttpConfig & FileConfig & S3Config & TopicConfig & RawConfig
>;

/** The defaults of everything that sources read, with these changes. */
export function sourceSettings(changes: SourceSettings = {}): Settings {
  const classes = [SourceConfig, ...SOURCE_KINDS.settings()];
  return new Settings(
    new Map(
      classes.map((settings) => {
        const instance = new settings();
        const own = Object.entries(changes).filter(([name]) => name in instance);
        return [settings, Object.assign(instance, Object.fromEntries(own))];
      }),
    ),
  );
}
