/**
 * Measures several things in turn (A B A B ...), so that whatever slows the machine for a while slows all of them. Every
 * list of the answer has one number a round.
 */
export async function interleave<Name extends string>(
  rounds: number,
  measures: Readonly<Record<Name, (round: number) => Promise<number>>>,
): Promise<Readonly<Record<Name, number[]>>> {
  const names = Object.keys(measures) as Name[]
  const taken = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<Name, number[]>
  for (let round = 0; round < rounds; round++) {
    // Every other round runs backwards: whoever comes second meets a warmer or a busier machine.
    const order = round % 2 === 0 ? names : [...names].reverse()
    for (const name of order) taken[name].push(await measures[name](round))
  }
  return taken
}
