import { RequestFault } from '#domain/errors';

export type Filters = Readonly<Record<string, readonly string[]>>;

/** Whether a thing has, for each filter that was given, one of its values. */
export type Filter<T> = (item: T) => boolean;

/** `fields`: what each filter looks at. Throws ValidationException for any other filter. */
export function filterOf<T>(given: Filters = {}, fields: Readonly<Record<string, (item: T) => string>>): Filter<T> {
  const wanted = Object.entries(given).map(([name, values]) => {
    if (!Object.hasOwn(fields, name)) {
      throw new RequestFault(`Filters: expected ${Object.keys(fields).join(', ')}, not ${name.slice(0, 64)}.`);
    }
    return { read: fields[name]!, values: new Set(values) };
  });
  return (item) => wanted.every(({ read, values }) => values.has(read(item)));
}
