import { styleText } from 'node:util';

export type Style = 'bold' | 'dim' | 'green' | 'yellow' | 'red' | 'cyan';
export type Paint = (style: Style, text: string) => string;

/** Colours on a terminal whose user did not set NO_COLOR (no-color.org); the plain text elsewhere. */
export function paintFor(stream: { readonly isTTY?: boolean }, noColor: boolean): Paint {
  return stream.isTTY === true && !noColor
    ? (style, text) => styleText(style, text, { validateStream: false })
    : (_style, text) => text;
}
