import { describe, expect, it } from '@jest/globals';
import { javaVersionIn } from './java.js';

describe('the version that java -version prints', () => {
  it.each([
    ['openjdk version "17.0.15" 2025-04-15', 17],
    ['java version "1.8.0_392"', 8],
    ['openjdk version "25" 2025-09-16', 25],
    ['Picked up JAVA_TOOL_OPTIONS: -Xmx1g\nopenjdk version "21.0.2" 2024-01-16', 21],
    ['The operation couldn’t be completed. Unable to locate a Java Runtime.', null],
  ])('%s → %s', (text, version) => {
    expect(javaVersionIn(text)).toBe(version);
  });
});
