/** There is no Amazon EC2 here: the first subnet of a cluster is in the zone `<region>a`, the second in `<region>b`, and so on. */
export const zonesOf = (region: string, subnetIds: readonly string[]): string[] =>
  subnetIds.map((_, nth) => region + String.fromCharCode('a'.charCodeAt(0) + nth));

/** Of the nth HSM of a cluster, from 0: an address of this machine's own, as its HSMs are processes of it. */
export const addressOf = (nth: number): string => `127.1.${Math.floor(nth / 250) % 250}.${(nth % 250) + 1}`;
