import { BlockList, isIP } from 'node:net';

/** Of IPv4 addresses as 32-bit numbers. */
interface Range {
  mask: number;
  base: number;
}

/**
 * Whether an address is in one of the ranges (`10.0.0.0/8`, `2001:db8::/32`, `10.1.2.3`); a range that is none is passed
 * over, and what is no address is in none. node's BlockList takes 1.5 us to read an address, so IPv4 is read here: it is
 * on the path of each request that such a policy lets in.
 */
export function compileAddressRanges(texts: readonly string[]): (address: string) => boolean {
  const all = new BlockList();
  const ranges: Range[] = [];
  let anyIpv6 = false;
  for (const text of texts) {
    const [, base = '', bits] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
    const version = base.includes('%') ? 0 : isIP(base);
    const prefix = bits === undefined ? (version === 6 ? 128 : 32) : Number(bits);
    if (version === 0 || prefix > (version === 6 ? 128 : 32)) continue;
    all.addSubnet(base, prefix, version === 6 ? 'ipv6' : 'ipv4');
    if (version === 6) {
      anyIpv6 = true;
    } else {
      const mask = prefix === 0 ? 0 : -1 << (32 - prefix);
      ranges.push({ mask, base: ipv4Of(base)! & mask });
    }
  }
  return (address) => {
    const ipv4 = ipv4Of(address);
    if (ipv4 !== undefined) {
      for (const { mask, base } of ranges) if ((ipv4 & mask) === base) return true;
      // One of IPv6 may hold the IPv4 addresses in their mapped form.
      return anyIpv6 && all.check(address, 'ipv4');
    }
    // A zone (fe80::1%eth0) means something on one host only.
    return !address.includes('%') && isIP(address) === 6 && all.check(address, 'ipv6');
  };
}

const DOT = 46;

/** Four numbers of at most 255, in decimal without leading zeros, as isIP takes them; as a signed 32-bit number. */
function ipv4Of(text: string): number | undefined {
  if (text.length < 7 || text.length > 15) return undefined;
  let address = 0;
  let part = 0;
  let digits = 0;
  let dots = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === DOT) {
      if (digits === 0 || ++dots > 3) return undefined;
      address = (address << 8) | part;
      part = digits = 0;
      continue;
    }
    const digit = code - 48;
    if (digit < 0 || digit > 9 || (digits > 0 && part === 0)) return undefined;
    part = part * 10 + digit;
    digits++;
    if (part > 255) return undefined;
  }
  return dots === 3 && digits > 0 ? (address << 8) | part : undefined;
}
