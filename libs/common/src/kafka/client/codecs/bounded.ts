/** @throws RangeError before anything of that size is made */
export function assertWithin(bytes: number, maxBytes: number): void {
  if (bytes > maxBytes) throw new RangeError(`it unpacks to more than ${maxBytes} bytes`);
}
