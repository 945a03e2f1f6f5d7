/**
 * Whether a class of a service (an OpenAPI DTO) and a shape of this folder have the same members of the same types,
 * whatever of them is written as optional or readonly. `implements` proves half of it: a member that is optional in the
 * shape may be missing in the class, and the class may have members and words that the shape lacks.
 */
export type Agree<A, B> = [Plain<A>, Plain<B>] extends [Plain<B>, Plain<A>] ? true : false;

/** Does not compile unless each of them agrees: `export type Checked = AllAgree<[Agree<JobDetailDto, JobDetail>]>`. */
export type AllAgree<Answers extends readonly true[]> = Answers;

type Plain<T> = T extends readonly (infer Item)[]
  ? readonly Plain<Item>[]
  : T extends object
    ? { readonly [Member in keyof T]-?: Plain<T[Member]> } & Record<'members', keyof T>
    : T;
