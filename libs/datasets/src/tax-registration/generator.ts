import {
  DEFAULT_DEFECT_SHARE,
  DEFAULT_REPEAT_SHARE,
  type Generate,
  type GenerateOptions,
  SeededRandom,
} from '#core/dataset/generate.js';
import { lastDigitFor } from './business-number.js';
import { DEFECTS, type Defect, FIELD, ODDITIES, type Row, formatRow, toFullWidth } from './defects.js';
import { SOURCE_COLUMNS } from './prologue.js';

/**
 * Makes extracts that look like the published one: its traits (README section 8) at shares of the same
 * order, every kind of defect in turn, and numbers that come again anywhere later in the file.
 *
 * - TG1: the same options give the same bytes.
 * - TG2: exactly `rows` records.
 * - TG3: every number that was not repeated or spoilt on purpose is unique and passes the checksum.
 */

const CHUNK_CHARACTERS = 64 * 1024;
const EXTRACT_DATE = '01-SEP-26';
/** Rows that look wrong and are right: half as many as defects, so that a test with many has many; at least this share. */
const MIN_ODDITY_SHARE = 0.001;

/** Each number has its own first seven digits; the step is prime to 10^7, so that they do not come again before all were used. */
const PREFIXES = 10_000_000;
const PREFIX_STEP = 7_654_321;

export const generate: Generate = function* (options: GenerateOptions): Generator<Buffer> {
  if (options.rows > PREFIXES) throw new RangeError(`At most ${PREFIXES} rows: numbers have 8 digits.`);
  const { defectShare = DEFAULT_DEFECT_SHARE, repeatShare = DEFAULT_REPEAT_SHARE } = options;
  const oddityShare = Math.max(MIN_ODDITY_SHARE, defectShare / 2);
  const random = new SeededRandom(options.seed);
  const businesses = new BusinessMaker(random);
  const defects = new Turns(DEFECTS);
  const oddities = new Turns(ODDITIES);

  let text = `${SOURCE_COLUMNS.join(',')}\n${EXTRACT_DATE}${','.repeat(SOURCE_COLUMNS.length - 1)}\n`;
  let records = 0;
  let defect: Defect | undefined;
  while (records < options.rows) {
    const row = businesses.row(records);
    if (records > 0 && random.chance(repeatShare))
      row[FIELD.number] = businesses.number(random.below(records));
    const kinds = random.chance(defectShare) ? defects : random.chance(oddityShare) ? oddities : undefined;
    defect = defect?.runsOn ? undefined : kinds?.next(options.rows - records);
    records += defect?.records ?? 1;
    const spoilt = defect?.spoil(row, random);
    if (Buffer.isBuffer(spoilt)) {
      yield Buffer.concat([Buffer.from(text), spoilt, Buffer.from('\n')]);
      text = '';
    } else {
      text += `${spoilt ?? (defect ? formatRow(row) : formatPlainRow(row))}\n`;
    }
    if (text.length >= CHUNK_CHARACTERS) {
      yield Buffer.from(text);
      text = '';
    }
  }
  if (text !== '') yield Buffer.from(text);
};

/** {@link formatRow} for values that need no escaping: several times faster. */
function formatPlainRow(row: Row): string {
  let text = '';
  for (let field = 0; field < row.length; field += 1) {
    const value = row[field] ?? '';
    const quoted = field === FIELD.address || field === FIELD.name ? `"${value}"` : value;
    text += field === 0 ? quoted : `,${quoted}`;
  }
  return text;
}

/** Gives every kind in turn, so that even a small file has each. */
class Turns {
  private turn = 0;

  constructor(private readonly kinds: readonly Defect[]) {}

  /** @param room how many records may still be written */
  next(room: number): Defect | undefined {
    const kind = this.kinds[this.turn % this.kinds.length];
    this.turn += 1;
    return (kind?.records ?? 1) <= room ? kind : undefined;
  }
}

const CITIES = [
  '臺北市',
  '新北市',
  '桃園市',
  '臺中市',
  '臺南市',
  '高雄市',
  '基隆市',
  '新竹縣',
  '彰化縣',
  '花蓮縣',
];
/** One-character names of districts are padded with U+3000 by the publisher. */
const DISTRICTS = [
  '東　區',
  '西　區',
  '北　區',
  '大安區',
  '板橋區',
  '中壢區',
  '三民區',
  '永康區',
  '北屯區',
  '鳳山區',
  '竹北市',
  '員林市',
  '士林區',
  '信義區',
  '左營區',
  '新店區',
];
const ROADS = [
  '中正路',
  '中山路',
  '民生路',
  '文化路',
  '和平東路',
  '建國北路',
  '復興街',
  '光復路',
  '自由路',
  '樂業路',
  '大同街',
  '忠孝東路',
];
const NAME_CHARACTERS = Array.from(
  '大中華新興順發金銀寶隆昌盛永安康泰和平福祿壽喜龍鳳麒麟天地人山水木火土春夏秋冬東西南北美佳良友成功信義達通運聯合立德明光遠宏偉',
);
const NAME_ENDINGS = [
  '商行',
  '企業社',
  '工程行',
  '小吃店',
  '有限公司',
  '股份有限公司',
  '實業有限公司',
  '工作室',
  '診所',
  '早餐店',
];
/** README section 8: full-width letters, inner U+3000, characters beyond the BMP and from the publisher's private ranges. */
const RARE_NAMES = [
  'Ａ１國際',
  '大　華',
  '𠮷野家',
  '𡘙記',
  '\uE000泰',
  '\u{F0001}興',
  '\u{100000}昌',
  '７８９專賣店',
  'ABC屋',
  '羽𣘺',
];
const COMMON_NAMES = ['攤販', '魚貨承銷人'];
const KINDS = ['獨資', '合夥', '有限公司', '股份有限公司', '其他', '外國公司在台之分公司'];
const CAPITALS = [
  '200000',
  '100000',
  '50000',
  '1000000',
  '5000000',
  '3000',
  '240000',
  '25000000',
  '259323700670',
];
const INDUSTRIES: readonly (readonly [code: string, name: string])[] = [
  ['472913', '菸酒零售'],
  ['471913', '雜貨店'],
  ['461000', '商品經紀'],
  ['561113', '餐廳'],
  ['561115', '小吃店'],
  ['563100', '飲料店'],
  ['433102', '室內裝潢工程'],
  ['432100', '機電、電信及電路設備安裝'],
  ['475211', '五金零售'],
  ['620100', '電腦程式設計'],
  ['681200', '不動產租售'],
  ['741000', '專門設計服務'],
  ['851000', '托兒所'],
  ['962200', '美容'],
  ['014000', '混合農業'],
  ['011111', '稻作'],
];
/** 0 to 500, as addresses write numbers. */
const FULL_WIDTH_NUMBERS = Array.from({ length: 501 }, (_, value) => toFullWidth(String(value)));

class BusinessMaker {
  private readonly firstPrefix: number;

  constructor(private readonly random: SeededRandom) {
    this.firstPrefix = random.below(PREFIXES);
  }

  /** The number of the row with this index: always the same, and no other row's. */
  number(index: number): string {
    const prefix = String((this.firstPrefix + index * PREFIX_STEP) % PREFIXES).padStart(7, '0');
    return prefix + lastDigitFor(prefix, index);
  }

  row(index: number): Row {
    const { random } = this;
    const isBranch = index > 0 && random.chance(0.08);
    const row = [
      this.address(),
      this.number(index),
      isBranch ? this.number(random.below(index)) : '',
      isBranch ? `${this.name()}分公司` : this.name(),
      isBranch ? '0' : random.chance(0.005) ? '' : random.pick(CAPITALS),
      random.chance(0.005) ? '' : this.rocDate(),
      isBranch ? '其他' : random.pick(KINDS),
      random.chance(0.4) ? 'Y' : 'N',
    ];
    this.addIndustries(row);
    return row;
  }

  private address(): string {
    const { random } = this;
    const section = random.chance(0.3) ? `${this.fullWidth(1 + random.below(5))}段` : '';
    const floor = random.chance(0.3) ? `${this.fullWidth(1 + random.below(20))}樓` : '';
    const place = random.pick(CITIES) + random.pick(DISTRICTS) + random.pick(ROADS);
    return `${place}${section}${this.fullWidth(1 + random.below(500))}號${floor}`;
  }

  private fullWidth(value: number): string {
    return FULL_WIDTH_NUMBERS[value] ?? '';
  }

  private name(): string {
    const { random } = this;
    if (random.chance(0.002)) return random.pick(COMMON_NAMES);
    const ending = random.pick(NAME_ENDINGS);
    if (random.chance(0.012)) return random.pick(RARE_NAMES) + ending;
    const second = random.chance(0.5) ? random.pick(NAME_CHARACTERS) : '';
    return random.pick(NAME_CHARACTERS) + second + random.pick(NAME_CHARACTERS) + ending;
  }

  /** `YYYMMDD`, years counted from 1912. */
  private rocDate(): string {
    const { random } = this;
    const year = random.chance(0.9) ? 60 + random.below(55) : 1 + random.below(114);
    return String(year * 10_000 + (1 + random.below(12)) * 100 + 1 + random.below(28)).padStart(7, '0');
  }

  /** One to four different ones, slots filled from the left. */
  private addIndustries(row: Row): void {
    const { random } = this;
    const draw = random.next();
    const count = draw < 0.5 ? 1 : draw < 0.8 ? 2 : draw < 0.9 ? 3 : 4;
    const first = random.below(INDUSTRIES.length);
    for (let slot = 0; slot < 4; slot += 1) {
      const industry = slot < count ? INDUSTRIES[(first + slot * 3) % INDUSTRIES.length] : undefined;
      row.push(industry?.[0] ?? '', industry?.[1] ?? '');
    }
  }
}
