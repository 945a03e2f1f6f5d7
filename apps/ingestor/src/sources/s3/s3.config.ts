import { IsIn, IsString, Matches } from '#common/validation/class-validator.js';
import { type CrossChecked, Variable } from '#common/config/environment.js';
import { DownloadSettings } from '../download-settings.js';
import { isBucketName } from './s3-address.js';

/** Which store the ingestor reads objects from, and whose buckets. Credentials are found by the SDK's own chain. */
export class S3Config extends DownloadSettings implements CrossChecked {
  @Variable(
    'SLUICE_S3_ENDPOINT',
    'URL of an S3-compatible store; empty: AWS itself, in the region of AWS_REGION or of the profile',
  )
  @Matches(/^(https?:\/\/[^/?#@\s]+\/?)?$/, { message: 's3Endpoint must be a http(s) URL without a path' })
  s3Endpoint: string = '';

  /** By the SDK's own name, so that one variable says it to every tool. */
  @Variable(
    'AWS_REGION',
    'Region of the s3 store; empty: of the profile, and us-east-1 with SLUICE_S3_ENDPOINT',
  )
  @Matches(/^[a-z0-9-]*$/, { message: 'awsRegion must be a name like eu-west-1' })
  awsRegion: string = '';

  @Variable(
    'SLUICE_S3_ADDRESSING',
    'How a bucket is named to the store: in the path (path), in the host name (host), or by what is usual: path with SLUICE_S3_ENDPOINT, else host (auto)',
  )
  @IsIn(['auto', 'path', 'host'])
  s3Addressing: 'auto' | 'path' | 'host' = 'auto';

  /** The ingestor reads with its own rights: a caller who may start jobs would otherwise read all that it can. */
  @Variable(
    'SLUICE_S3_BUCKETS',
    'Buckets that s3 sources of callers without the local token may come from, separated by commas; none by default',
  )
  @IsString()
  s3Buckets: string = '';

  get usesPath(): boolean {
    return this.s3Addressing === 'auto' ? this.s3Endpoint !== '' : this.s3Addressing === 'path';
  }

  buckets(): string[] {
    return this.s3Buckets
      .split(',')
      .map((name) => name.trim())
      .filter((name) => name !== '');
  }

  crossCheck(): readonly string[] {
    return this.buckets().every(isBucketName) ? [] : ['SLUICE_S3_BUCKETS must hold names of buckets'];
  }
}
