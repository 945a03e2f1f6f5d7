import { describe, expect, it } from '@jest/globals';
import { copyFaultOf } from './copy-sections.js';

const TARGETS = [
  { stagingName: 'abc7_shop', columns: ['code', 'line'] },
  { stagingName: 'abc7_shop_item', columns: ['name', '名稱'] },
];

describe('a refused COPY', () => {
  const faultAt = (where: string) => copyFaultOf(Object.assign(new Error('refused'), { where }), TARGETS);

  it('has its fault where PostgreSQL says', () => {
    const place = { table: 'abc7_shop', line: 17 };
    expect(faultAt('COPY abc7_shop, line 17, column code: "x"')).toEqual({ ...place, column: 'code' });
    expect(faultAt('COPY abc7_shop, line 17: "x, column code"')).toEqual({ ...place, column: null });
    expect(faultAt('COPY other, line 17: "x"')).toBeNull();
    expect(copyFaultOf(new Error('refused'), TARGETS)).toBeNull();
  });

  it('does not take a table for another whose name continues', () => {
    expect(faultAt('COPY abc7_shop_item, line 2, column name: "x"')).toEqual({
      table: 'abc7_shop_item',
      line: 2,
      column: 'name',
    });
  });

  it('does not take one for another whose name continues in another script, or with blanks', () => {
    const targets = [
      { stagingName: 'abc7_shop', columns: ['a', 'b'] },
      { stagingName: 'abc7_shopé 2', columns: ['名', 'last 名', 'last'] },
    ];
    const at = (where: string) => copyFaultOf(Object.assign(new Error('refused'), { where }), targets);
    const place = { table: 'abc7_shopé 2', line: 7 };
    expect(at('COPY abc7_shopé 2, line 7, column last 名: "x"')).toEqual({ ...place, column: 'last 名' });
    expect(at('COPY abc7_shopé 2, line 7, column last: "x"')).toEqual({ ...place, column: 'last' });
    expect(at('COPY abc7_shop, line 3, column b: "x"')).toEqual({ table: 'abc7_shop', line: 3, column: 'b' });
  });

  it('has it behind what a function or a parser says before', () => {
    const where =
      'JSON data, line 1: {"a": 12\nSQL function "f" statement 3\nCOPY abc7_shop, line 4, column line: "{"a": 12"';
    expect(faultAt(where)).toEqual({ table: 'abc7_shop', line: 4, column: 'line' });
  });

  // As PostgreSQL's own catalogues word it.
  it.each([
    ['German', 'COPY abc7_shop_item, Zeile 3, Spalte 名稱: »x«'],
    ['Spanish', 'COPY abc7_shop_item, línea 3, columna 名稱: «x»'],
    ['French', 'COPY abc7_shop_item, ligne 3, colonne 名稱 : « x »'],
    ['Italian', 'COPY abc7_shop_item, riga 3, colonna 名稱: "x"'],
    ['Japanese', 'abc7_shop_itemのCOPY、行 3、列 名稱: "x"'],
    ['Georgian', 'COPY abc7_shop_item, ხაზი 3, სვეტი 名稱: "x"'],
    ['Korean', 'abc7_shop_item 복사, 3번째 줄, 名稱 열: "x"'],
    ['Korean, a null', 'COPY abc7_shop_item, 3행, 名稱 열: null 입력'],
    ['Russian', 'COPY abc7_shop_item, строка 3, столбец 名稱: "x"'],
    ['Swedish', 'COPY abc7_shop_item, rad 3, kolumn 名稱: "x"'],
    ['Ukrainian', 'COPY abc7_shop_item, рядок 3, стовпець 名稱: "x"'],
    ['Chinese', 'COPY abc7_shop_item, 第 3 行, 列 名稱: "x"'],
  ])('has it in a server’s own language, such as %s', (_, where) => {
    expect(faultAt(where)).toEqual({ table: 'abc7_shop_item', line: 3, column: '名稱' });
  });
});
