/** A vector picture with gradients: a disc of halftone dots. No script, no text, no reference to anything outside. */
export function drawBadge(): string {
  const dots: string[] = []
  for (let row = 0; row < 17; row++) {
    for (let column = 0; column < 17; column++) {
      const x = 32 + column * 28 + (row % 2) * 14 - 7
      const y = 32 + row * 28
      const light = Math.hypot(x - 190, y - 170) / 330
      const inside = Math.hypot(x - 256, y - 256) < 196
      const radius = Math.min(14, 1.5 + light * 15)
      if (inside) dots.push(`<circle cx="${x}" cy="${y}" r="${radius.toFixed(1)}"/>`)
    }
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" width="512" height="512" viewBox="0 0 512 512">
<title>Halftone</title>
<defs>
<linearGradient id="dusk" x1="0" y1="0" x2="1" y2="1"><stop offset="0" stop-color="#ffd98a"/><stop offset=".38" stop-color="#ff7d5c"/><stop offset=".7" stop-color="#c42c7c"/><stop offset="1" stop-color="#3a2a80"/></linearGradient>
<linearGradient id="rim" x1="0" y1="0" x2="0" y2="1"><stop offset="0" stop-color="#fff4d8"/><stop offset="1" stop-color="#7a3d8f"/></linearGradient>
<radialGradient id="shine" cx=".36" cy=".3" r=".6"><stop offset="0" stop-color="#fff" stop-opacity=".75"/><stop offset="1" stop-color="#fff" stop-opacity="0"/></radialGradient>
</defs>
<circle cx="256" cy="256" r="244" fill="url(#rim)"/>
<circle cx="256" cy="256" r="232" fill="#140f2c"/>
<circle cx="256" cy="256" r="220" fill="url(#dusk)"/>
<g fill="#1c1440" fill-opacity=".82">${dots.join('')}</g>
<circle cx="256" cy="256" r="220" fill="url(#shine)"/>
</svg>
`
}
