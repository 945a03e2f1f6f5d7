/** Seeded samples as each language writes them, against the guess, which must be right and say that it is a guess. */
import { isUtf8 } from 'node:buffer';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { SeededRandom } from '#core/dataset/generate.js';
import { encoderOf } from '#core/derive/encode-text.js';
import { proposed } from '#test/support/proposed-dataset.js';
import { guessEncoding } from './guess-encoding.js';

/** Parts of names, addresses and goods, from which a row takes some. */
const WORDS: Readonly<Record<string, readonly string[]>> = {
  gb18030: [
    ...[
      '北京',
      '上海市',
      '浦东新区',
      '深圳',
      '广州',
      '有限公司',
      '贸易',
      '科技股份',
      '张伟',
      '王芳',
      '李娜',
      '刘洋',
    ],
    ...[
      '人民路',
      '解放大道',
      '苹果',
      '红富士',
      '蓝色衬衫',
      '订单已完成',
      '待付款',
      '数量',
      '备注',
      '请勿倒置',
      '医院',
      '饭店',
    ],
  ],
  shift_jis: [
    ...[
      '東京都',
      '大阪市',
      '株式会社',
      '有限会社',
      '山田太郎',
      '佐藤花子',
      '鈴木',
      'リンゴ',
      'ノートパソコン',
      'シャツ',
    ],
    ...[
      'お届け先',
      '完了',
      '未払い',
      '千代田区',
      '丸の内',
      '数量',
      '備考',
      'ありがとう',
      '青い',
      '商店',
      'ビル',
      '号室',
    ],
  ],
  'euc-kr': [
    ...[
      '서울특별시',
      '부산',
      '강남구',
      '주식회사',
      '김민수',
      '이영희',
      '박지훈',
      '사과',
      '노트북',
      '파란 셔츠',
    ],
    ...['주문 완료', '결제 대기', '수량', '비고', '배송지', '감사합니다', '테헤란로', '상가', '빌딩', '호'],
  ],
  big5: [
    ...[
      '臺北市',
      '高雄',
      '股份有限公司',
      '商行',
      '陳志明',
      '林淑芬',
      '中山北路',
      '信義區',
      '蘋果',
      '藍色襯衫',
    ],
    ...['訂單完成', '待付款', '數量', '備註', '請勿倒置', '樓', '號', '餐廳', '醫院', '茶葉'],
  ],
  'windows-1251': [
    ...[
      'Москва',
      'Санкт-Петербург',
      'ООО Ромашка',
      'Иванов',
      'Петрова',
      'яблоко',
      'рубашка синяя',
      'заказ выполнен',
    ],
    ...['ожидает оплаты', 'количество', 'улица Ленина', 'дом', 'Київ', 'магазин'],
  ],
  'windows-1252': [
    ...[
      'Müller',
      'Söhne',
      'Straße',
      'Zürich',
      'José',
      'São Paulo',
      'Café',
      'crème brûlée',
      'Åse',
      'Ærø',
      'Größe',
    ],
    ...['bestellt', 'bezahlt', 'España', 'Málaga', 'naïve'],
  ],
};

function sampleOf(label: string, seed: number, rows: number): string {
  const random = new SeededRandom(seed);
  const words = WORDS[label] ?? [];
  const text = (): string =>
    Array.from({ length: 1 + random.below(3) }, () => random.pick(words)).join(random.chance(0.3) ? ' ' : '');
  const lines = Array.from(
    { length: rows },
    (_, at) => `${at + 1},${text()},${text()},${random.below(9000)}\n`,
  );
  return `id,name,place,amount\n${lines.join('')}`;
}

describe('the encoding of a sample', () => {
  it.each(Object.keys(WORDS))('is guessed, and said to be a guess: %s', (label) => {
    const encode = encoderOf(label);
    for (let seed = 1; seed <= 100; seed += 1) {
      const bytes = encode(sampleOf(label, seed, 1 + (seed % 40)));
      if (isUtf8(bytes)) continue;
      expect({ seed, ...guessEncoding(bytes) }).toEqual({ seed, label, isCertain: false });
    }
    const sample = sampleOf(label, 7, 30);
    const { proposal } = proposed(encode(sample));
    expect(proposal.guesses).toContain(`The encoding is ${label}.`);
    expect(proposal.encoding).toBe(label);
  });

  it('is guessed wrongly where it is none of those, and said to be a guess', () => {
    const sample = encoderOf('koi8-r')(sampleOf('windows-1251', 3, 30));
    const { proposal } = proposed(sample);
    expect(proposal.encoding).not.toBe('koi8-r');
    expect(proposal.guesses).toContain(`The encoding is ${proposal.encoding ?? 'utf-8'}.`);
  });

  it('is found in lines behind a long beginning of ASCII, and in a sample that ends within a character', () => {
    const encode = encoderOf('euc-kr');
    const ascii = Buffer.from(`id,name\n${'1,red\n'.repeat(100_000)}`);
    const bytes = Buffer.concat([ascii, encode(sampleOf('euc-kr', 5, 20))]);
    expect(guessEncoding(bytes).label).toBe('euc-kr');
    const cut = encode('id,name\n1,주문 완료\n2,결제 대기\n3,서울').subarray(0, -1);
    expect(guessEncoding(cut).label).toBe('euc-kr');
  });

  it('is certain of UTF alone, for any bytes', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ minLength: 1, maxLength: 200 }),
      fc
        .array(fc.constantFrom(0x41, 0x0a, 0x2c, 0x80, 0xc5, 0xe9, 0xff), { minLength: 1 })
        .map((list) => Uint8Array.from(list)),
    );
    fc.assert(
      fc.property(bytes, (given) => {
        const sample = Buffer.from(given);
        const { label, isCertain } = guessEncoding(sample);
        expect([...Object.keys(WORDS), 'utf-8', 'utf-16le', 'utf-16be']).toContain(label);
        if (isCertain) expect(label).toMatch(/^utf-/);
      }),
      { numRuns: 500 },
    );
  });
});
