/** Credentials by which the AWS SDK signs requests of this process: its chain finds them in the environment. */
const NAMES = { accessKeyId: 'AWS_ACCESS_KEY_ID', secretAccessKey: 'AWS_SECRET_ACCESS_KEY' } as const;

/** @returns puts back what was there */
export function setAwsCredentials(credentials: Readonly<Record<keyof typeof NAMES, string>>): () => void {
  const before = Object.values(NAMES).map((name) => [name, process.env[name]] as const);
  for (const [property, name] of Object.entries(NAMES))
    process.env[name] = credentials[property as keyof typeof NAMES];
  return () => {
    for (const [name, value] of before) {
      if (value === undefined) Reflect.deleteProperty(process.env, name);
      else process.env[name] = value;
    }
  };
}
