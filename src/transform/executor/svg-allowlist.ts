/** Elements of SVG that draw; whatever is not named here goes, with everything inside it. */
export const allowedElements: ReadonlySet<string> = new Set(
  `svg g defs symbol use switch title desc path rect circle ellipse line polyline polygon text tspan textPath image
  linearGradient radialGradient stop clipPath mask pattern marker style view filter
  feBlend feColorMatrix feComponentTransfer feComposite feConvolveMatrix feDiffuseLighting feDisplacementMap feDistantLight
  feDropShadow feFlood feFuncA feFuncB feFuncG feFuncR feGaussianBlur feImage feMerge feMergeNode feMorphology feOffset
  fePointLight feSpecularLighting feSpotLight feTile feTurbulence`.split(/\s+/),
)

/** Elements that are dropped but whose content stays: a link has nowhere to lead in a picture. */
export const unwrappedElements: ReadonlySet<string> = new Set(['a'])

/** Attributes that are kept, besides `aria-*`; `href` and `style` are checked on their own. */
export const allowedAttributes: ReadonlySet<string> = new Set(
  `id class lang role tabindex type media version viewBox preserveAspectRatio zoomAndPan baseProfile width height x y x1 y1 x2 y2
  cx cy r rx ry fx fy fr d points pathLength transform transform-origin transform-box dx dy rotate textLength lengthAdjust startOffset method spacing side
  href style requiredExtensions requiredFeatures systemLanguage externalResourcesRequired
  gradientUnits gradientTransform spreadMethod offset clipPathUnits maskUnits maskContentUnits mask-type patternUnits patternContentUnits
  patternTransform markerUnits markerWidth markerHeight refX refY orient
  filterUnits primitiveUnits filterRes in in2 result mode operator k1 k2 k3 k4 values stdDeviation edgeMode order kernelMatrix divisor bias
  targetX targetY kernelUnitLength preserveAlpha surfaceScale diffuseConstant specularConstant specularExponent scale xChannelSelector
  yChannelSelector azimuth elevation limitingConeAngle pointsAtX pointsAtY pointsAtZ z radius baseFrequency numOctaves seed stitchTiles
  tableValues slope intercept amplitude exponent
  alignment-baseline baseline-shift clip clip-path clip-rule color color-interpolation color-interpolation-filters color-profile
  color-rendering cursor direction display dominant-baseline enable-background fill fill-opacity fill-rule flood-color
  flood-opacity font font-family font-size font-size-adjust font-stretch font-style font-variant font-weight
  glyph-orientation-horizontal glyph-orientation-vertical image-rendering isolation kerning letter-spacing lighting-color
  marker marker-end marker-mid marker-start mask mix-blend-mode opacity overflow paint-order pointer-events shape-rendering
  stop-color stop-opacity stroke stroke-dasharray stroke-dashoffset stroke-linecap stroke-linejoin stroke-miterlimit
  stroke-opacity stroke-width text-anchor text-decoration text-rendering unicode-bidi vector-effect visibility word-spacing
  white-space writing-mode`.split(/\s+/),
)
