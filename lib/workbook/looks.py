"""How fragments look: one palette for light and dark, and the rules of everything that `faces` and its users draw."""

# One palette for fragments and site. Every pair of ink and ground below has a contrast of at least 4.5 to 1.
LIGHT = (
    "--wb-page:#ffffff;--wb-surface:#f5f7f9;--wb-ink:#1a2028;--wb-muted:#57616d;--wb-line:#d8dee5;--wb-accent:#0a5aa8;"
    "--wb-good:#0b6447;--wb-good-ground:#e2f4eb;--wb-bad:#a3211a;--wb-bad-ground:#fdebe9;"
    "--wb-warn:#724c00;--wb-warn-ground:#fcf1d3;--wb-info:#0b4f8f;--wb-info-ground:#e5f0fb;"
    "--wb-plain:#454e59;--wb-plain-ground:#e9edf1;--wb-mark-good:#5fae8c;--wb-mark-bad:#e2665c"
)
DARK = (
    "--wb-page:#13171c;--wb-surface:#1b2027;--wb-ink:#e5e9ee;--wb-muted:#9da8b4;--wb-line:#353d47;--wb-accent:#74b6ff;"
    "--wb-good:#74d6ac;--wb-good-ground:#12352a;--wb-bad:#ffa39a;--wb-bad-ground:#45201d;"
    "--wb-warn:#f1c869;--wb-warn-ground:#3a2d0d;--wb-info:#93c7ff;--wb-info-ground:#15304c;"
    "--wb-plain:#c3cbd3;--wb-plain-ground:#2a3139;--wb-mark-good:#2f7d5f;--wb-mark-bad:#b8463d"
)
RULES = """
.wb{color:var(--wb-ink);font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;
font-size:14px;line-height:1.5;text-align:left}
.wb .wb{font-size:inherit}.wb dd:not(.wb-mark) .wb-badge{font-size:.56em}
.wb-stack>*{margin:0 0 1rem}.wb-stack>*:last-child{margin-bottom:0}
.wb .wb-muted,.wb .wb-null,.wb .wb-more{color:var(--wb-muted)}.wb .wb-null{font-style:italic}
.wb .wb-ctl{color:var(--wb-muted);border:1px solid var(--wb-line);border-radius:3px;padding:0 2px;font-size:.85em;
font-style:normal;unicode-bidi:isolate}
.wb .wb-badge{display:inline-flex;align-items:center;gap:.35em;padding:.1em .6em .1em .45em;border-radius:999px;
font-size:.86em;font-weight:600;line-height:1.6;white-space:nowrap;color:var(--wb-plain);
background:var(--wb-plain-ground);border:1px solid transparent}
.wb .wb-badge svg{width:1em;height:1em;flex:none;fill:none;stroke:currentColor;stroke-width:1.8;
stroke-linecap:round;stroke-linejoin:round}
.wb .wb-good{color:var(--wb-good);background:var(--wb-good-ground)}
.wb .wb-bad{color:var(--wb-bad);background:var(--wb-bad-ground)}
.wb .wb-warn{color:var(--wb-warn);background:var(--wb-warn-ground)}
.wb .wb-info{color:var(--wb-info);background:var(--wb-info-ground)}
.wb .wb-boxes{display:flex;flex-wrap:wrap;gap:.75rem;padding:0}
.wb .wb-box{flex:1 1 9.5rem;max-width:19rem;display:flex;flex-direction:column;gap:.2rem;margin:0;padding:.8rem 1rem;border:1px solid var(--wb-line);
border-radius:10px;background:var(--wb-surface);min-width:0}
.wb .wb-box dt{float:none;width:auto;margin:0;font-size:.86em;font-weight:500;color:var(--wb-muted)}
.wb .wb-box dd{float:none;width:auto;margin:0;padding:0;font-size:1.55em;font-weight:650;line-height:1.25;letter-spacing:-.01em;
font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
.wb .wb-box dd.wb-mark{font-size:1em;font-weight:500;letter-spacing:0;padding-top:.2rem}
.wb .wb-box dd+dd.wb-mark{margin-top:auto}
.wb .wb-box dd.wb-long{font-size:1.05em;letter-spacing:0}
.wb .wb-scroll{overflow-x:auto;max-width:100%;border:1px solid var(--wb-line);border-radius:10px}
.wb .wb-scroll:focus-visible,.wb pre.wb-code:focus-visible{outline:2px solid var(--wb-accent);outline-offset:2px}
.wb table.wb-table{border-collapse:separate;border-spacing:0;width:100%;margin:0;border:0;font-size:.95em;
color:inherit;background:transparent;table-layout:auto}
.wb .wb-table caption{caption-side:top;padding:.65rem .9rem;text-align:left;font-weight:650;color:var(--wb-ink)}
.wb .wb-table th,.wb .wb-table td{padding:.42rem .9rem;border:0;border-top:1px solid var(--wb-line);text-align:left;
vertical-align:top;font-variant-numeric:tabular-nums;max-width:40rem;overflow-wrap:break-word;white-space:normal;
background:transparent}
.wb .wb-table thead th{font-size:.9em;font-weight:600;color:var(--wb-muted);background:var(--wb-surface);
white-space:nowrap;border-top:0;border-bottom:1px solid var(--wb-line);vertical-align:bottom}
.wb .wb-table caption~thead th{border-top:1px solid var(--wb-line)}
.wb .wb-table tbody tr:nth-child(n){background:transparent}
.wb .wb-table tbody tr:first-child>*{border-top:0}
.wb .wb-table tbody th{font-weight:600}
.wb .wb-table tbody tr:hover>*{background:var(--wb-surface)}
.wb .wb-table th.wb-number,.wb .wb-table td.wb-number{text-align:right;white-space:nowrap}
.wb .wb-table .wb-short{white-space:nowrap}.wb .wb-table .wb-long{min-width:17rem}
.wb .wb-bytes{overflow-wrap:anywhere;font-size:.92em;background:none;padding:0;color:inherit}
.wb .wb-more{margin:.4rem 0 0;font-size:.92em}
.wb .wb-bar{display:inline-flex;align-items:center;gap:.5em;white-space:nowrap;font-variant-numeric:tabular-nums}
.wb .wb-track{display:inline-block;width:5rem;height:.5rem;border-radius:999px;background:var(--wb-plain-ground);
overflow:hidden}
.wb .wb-track>span{display:block;height:100%;background:var(--wb-accent);border-radius:999px}
.wb .wb-off>span{background:var(--wb-accent);border-radius:0}.wb .wb-off-bad>span{background:var(--wb-bad)}
.wb .wb-lead{font-size:1.2em;line-height:1.6;margin:0}.wb .wb-lead .wb-badge{font-size:.9em;margin-right:.3em}
.wb details.wb-details{border:1px solid var(--wb-line);border-radius:10px;padding:0 .9rem}
.wb .wb-details>summary{cursor:pointer;padding:.55rem 0;font-weight:600}
.wb .wb-details>summary:focus-visible{outline:2px solid var(--wb-accent);outline-offset:2px;border-radius:4px}
.wb .wb-details[open]{padding-bottom:.9rem}
.wb pre.wb-code{margin:0;padding:.8rem 1rem;overflow-x:auto;border:1px solid var(--wb-line);border-radius:10px;
background:var(--wb-surface);color:var(--wb-ink);font:.92em/1.55 ui-monospace,SFMono-Regular,Menlo,Consolas,
"Liberation Mono",monospace;white-space:pre;tab-size:4}
.wb pre.wb-code code{font:inherit;color:inherit;background:none;padding:0}
.wb .wb-marks{display:inline-flex;flex-wrap:wrap;gap:2px;min-width:0}
.wb .wb-sq{display:inline-flex;align-items:center;justify-content:center;min-width:1.05rem;height:1.05rem;padding:0 2px;
border-radius:3px;font:600 .72rem/1 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;text-decoration:none;
color:var(--wb-ink);background:var(--wb-plain-ground)}
.wb a.wb-sq:hover,.wb a.wb-sq:focus-visible{outline:2px solid var(--wb-accent);outline-offset:1px}
.wb .wb-is-proven{background:var(--wb-mark-good)}
.wb .wb-is-tolerated{background:var(--wb-info-ground);color:var(--wb-info);box-shadow:inset 0 0 0 1px var(--wb-info)}
.wb .wb-is-sampled{background:var(--wb-plain-ground);color:var(--wb-plain);box-shadow:inset 0 0 0 1px var(--wb-plain)}
.wb .wb-is-incomparable{background:var(--wb-warn-ground);color:var(--wb-warn);box-shadow:inset 0 0 0 1px var(--wb-warn)}
.wb .wb-is-different{color:var(--wb-ink);box-shadow:inset 0 0 0 1.5px var(--wb-bad);
background:linear-gradient(to top,var(--wb-mark-bad) var(--fill,100%),var(--wb-bad-ground) 0)}
.wb .wb-legend{display:flex;flex-wrap:wrap;gap:.2rem 1rem;margin:0 0 .6rem;font-size:.9em}
.wb .wb-legend>span{display:inline-flex;align-items:center;gap:.35rem}
.wb .wb-heat{display:grid;gap:0;border:1px solid var(--wb-line);border-radius:10px;padding:.2rem .8rem}
.wb .wb-line{display:grid;grid-template-columns:minmax(9rem,15rem) 5.2rem minmax(8.5rem,10rem) minmax(0,1fr);gap:.15rem .9rem;
align-items:center;padding:.28rem 0;border-top:1px solid var(--wb-line)}
.wb .wb-line:first-child{border-top:0}.wb .wb-line .wb-name{overflow-wrap:anywhere;font-weight:600}
.wb .wb-hops{display:inline-flex;gap:2px}
.wb .wb-line .wb-alike{color:var(--wb-muted);font-size:.9em;font-variant-numeric:tabular-nums}
@media (max-width:48rem){.wb .wb-line{grid-template-columns:minmax(0,1fr) auto}.wb .wb-line .wb-marks{grid-column:1/-1}}
.wb .wb-unlike{color:var(--wb-bad);font-weight:650}.wb .wb-ruled{color:var(--wb-info)}
.wb .wb-hist{display:block;width:6rem;height:1.9rem;overflow:visible}
.wb .wb-hist .s{fill:var(--wb-line)}.wb .wb-hist .t{fill:none;stroke:var(--wb-good);stroke-width:1.2}
.wb .wb-hist .w{fill:none;stroke:var(--wb-accent);stroke-width:1.2;stroke-dasharray:2 1.5}
.wb .wb-hist .o{fill:var(--wb-mark-bad)}
.wb .wb-findings{border:1px solid var(--wb-line);border-radius:10px}
.wb .wb-findings details.wb-details{border:0;border-top:1px solid var(--wb-line);border-radius:0}
.wb .wb-findings details.wb-details:first-child{border-top:0}
.wb .wb-findings summary{display:grid;grid-template-columns:minmax(0,5fr) minmax(0,6fr) 10.5rem 7.5rem;gap:.1rem .9rem}
.wb .wb-findings summary span+span{font-weight:400;overflow-wrap:anywhere}.wb .wb-findings summary span:last-child{text-align:right}
.wb .wb-findings summary span:first-child::before{content:"▸ ";color:var(--wb-muted)}
.wb .wb-findings [open]>summary span:first-child::before{content:"▾ "}
@media (max-width:48rem){.wb .wb-findings summary{grid-template-columns:minmax(0,1fr) auto}}
.wb .wb-words{min-width:10rem}.wb .wb-whole .wb-box{flex-basis:8.4rem}
.wb .wb-kin{display:flex;align-items:center;gap:.4em}.wb .wb-kin small{width:4.2em;color:var(--wb-muted)}
.wb .wb-kin .wb-track{display:inline-flex;width:9rem;height:.75rem;border-radius:3px}
.wb .wb-kin .wb-track>span{border-radius:0}.wb .wb-kin .wb-none{background:var(--wb-line)}
.wb .wb-kin .wb-one{background:#9ecae1}.wb .wb-kin .wb-few{background:#4292c6}.wb .wb-kin .wb-many{background:#084594}
.wb .wb-sign{display:grid;grid-template-columns:repeat(auto-fit,minmax(11rem,1fr));gap:1.6rem;margin-top:2.2rem}
.wb .wb-sign span{border-top:1px solid var(--wb-muted);padding-top:.2rem;color:var(--wb-muted);font-size:.86em}
.wb .wb-progress{display:flex;flex-wrap:wrap;align-items:center;gap:.3rem .8rem}
.wb .wb-progress strong{font-weight:600}
.wb .wb-progress progress{flex:1 1 10rem;max-width:24rem;height:.7rem;accent-color:var(--wb-accent)}
.wb .wb-progress span{color:var(--wb-muted);font-variant-numeric:tabular-nums}
""".replace("\n", "")
# Every fragment begins with this.
STYLE_MARK = '<style data-wb="1">'
STYLE = (
    f'{STYLE_MARK}.wb{{{LIGHT}}}[data-jp-theme-light="false"] .wb,.vscode-dark .wb{{{DARK}}}'
    # JupyterLab lays out definition lists and tables in cells its own way; the rules above undo that.
    f".jp-RenderedHTMLCommon .wb .wb-boxes{{margin:0}}{RULES}</style>"
)
