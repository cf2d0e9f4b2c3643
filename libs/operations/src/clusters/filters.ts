import { RequestFault } from '#domain/errors';

const MAX_FILTERS = 30;
const MAX_VALUES = 100;

/** Whether a thing has, for each filter that was given, one of its values. */
export type Filter<T> = (item: T) => boolean;

/** `fields`: what each filter looks at. Throws ValidationException for any other, or for what is no list of texts. */
export function filterOf<T>(
  given: object | undefined,
  fields: Readonly<Record<string, (item: T) => string>>,
): Filter<T> {
  const filters = Object.entries(given ?? {});
  if (filters.length > MAX_FILTERS) throw new RequestFault(`Filters: expected at most ${MAX_FILTERS}.`);
  const wanted = filters.map(([name, values]) => {
    if (!Object.hasOwn(fields, name)) {
      throw new RequestFault(`Filters: expected ${Object.keys(fields).join(', ')}, not ${name.slice(0, 64)}.`);
    }
    const isList =
      Array.isArray(values) && values.length <= MAX_VALUES && values.every((one) => typeof one === 'string');
    if (!isList) throw new RequestFault(`Filters: expected a list of at most ${MAX_VALUES} texts for ${name}.`);
    return { read: fields[name]!, values: new Set(values as string[]) };
  });
  return (item) => wanted.every(({ read, values }) => values.has(read(item)));
}
