/**
 * What an image named without a registry means. Without `registries.conf`: Docker Hub, as everywhere in Kubernetes. With
 * one: its alias if it has such, else the registries to search. Nobody can be asked which one is meant, so where the mode is
 * `enforcing`, several candidates are an error (containers-registries.conf(5), short-name-mode).
 */
import { RuntimeError } from '#base/errors.ts';
import { type ImageReference, isShortName, nameOf, parseReference } from './reference.ts';
import type { RegistriesConfFile } from './registry/registries-conf.ts';

export class ShortNames {
  readonly #file: RegistriesConfFile;

  constructor(file: RegistriesConfFile) {
    this.#file = file;
  }

  /** Every complete reference that `text` may stand for, in order; one for a name with a registry. Throws InvalidArgument, Unknown. */
  candidates(text: string): ImageReference[] {
    const plain = parseReference(text);
    if (!isShortName(text)) return [plain];
    const { aliases, searchRegistries } = this.#file.load();
    const end = /[@:]/.exec(text)?.index ?? text.length;
    const name = text.slice(0, end);
    const alias = aliases.get(name);
    if (alias !== undefined) return [parseReference(alias + text.slice(end))];
    if (searchRegistries.length === 0) return [plain];
    return searchRegistries.map((registry) => parseReference(`${registry}/${text}`));
  }

  /** The references to try to pull, in order. Throws InvalidArgument, Unknown; the latter too for a name that may not be guessed. */
  toPull(text: string): ImageReference[] {
    const candidates = this.candidates(text);
    if (candidates.length > 1 && this.#file.load().shortNameMode === 'enforcing')
      throw new RuntimeError(
        'Unknown',
        `pulling ${text}: it may be any of ${candidates.map(nameOf).join(', ')}, and short-name-mode is enforcing; write the whole name, or add an alias to registries.conf`,
      );
    return candidates;
  }
}
