/** The files of class-validator, each of which exports a part of what the package does. */
declare module 'class-validator/cjs/*' {
  export * from 'class-validator';
}
