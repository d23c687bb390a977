/** Names for containers whose makers gave none. */

const qualities =
  'able bold brave bright brisk calm clear deep early fair fast firm free fresh gentle glad golden grand green keen kind light lively loyal merry mild noble proud quick quiet ready rested silver sound steady still strong sunny swift tidy trim true warm wide wise young'.split(
    ' ',
  );
const things =
  'anchor bay beacon boat bollard bow buoy cabin canvas cape channel chart cleat coast compass coral crane crew current dock dolphin ferry fleet gull harbour haven hull island jetty keel kelp knot lagoon lighthouse mast mooring oar otter pearl pier port quay reef rudder sail schooner sextant shore spray tide tug wave wharf'.split(
    ' ',
  );

/** For instance `calm_jetty`; `random` gives numbers from 0 to 1. */
export function inventName(random: () => number = Math.random): string {
  const pick = (words: readonly string[]) => words[Math.floor(random() * words.length)]!;
  return `${pick(qualities)}_${pick(things)}`;
}
