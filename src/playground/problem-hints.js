/** What to do about a refusal, by the code of its problem document; undefined where the document says it all. */
export function hintFor(code, { presets }) {
  const names = presets.length > 0 ? `: ${presets.join(', ')}` : ', but none is configured'
  return {
    signature_required:
      "Make a signed URL with the command halftone sign 'URL' and paste it above. The playground knows no secret, so it cannot sign what the controls say.",
    signature_invalid:
      'A signature covers path and query byte for byte. Paste the signed URL as it was made and change nothing, or sign this one.',
    signature_expired: "Make a new one with the command halftone sign 'URL'.",
    preset_required: `Choose a preset under “http” and leave the other parameters empty. There are these${names}.`,
    not_found: 'Paths are case-sensitive, and begin with the prefix of their source where it has one.',
    overloaded: 'Change something, or press Enter in the address, to ask again.',
  }[code]
}

/** Why there is nothing to begin with. */
export const emptyProblem = {
  title: 'No pictures found',
  detail:
    'The pictures listed here are those of the first folder that is open to all. There is none, it is empty, or its URLs must be signed.',
  hint: "Type the path of a picture, or paste a URL above. Signed ones are sent exactly as pasted; the command halftone sign 'URL' makes them.",
}

export const foreignProblem = {
  title: 'Not a path of this server',
  detail: 'A path begins with exactly one slash, as in /photos/lake.jpg.',
}
