/* html_style.h - the style sheet of the evaluation's page: light, dark, and on paper.
 *
 * Threads: constant.
 */
#ifndef PINSAGE_CORE_EVAL_HTML_STYLE_H
#define PINSAGE_CORE_EVAL_HTML_STYLE_H

#define HTML_STYLE                                                                       \
    ":root{color-scheme:light dark;--ink:#1c2430;--soft:#5d6878;--page:#fff;"            \
    "--card:#f6f7f9;--rule:#dde1e7;--warn:#fff4d6;--warn-ink:#6b4a00;--good:#0b7a43;"    \
    "--bad:#b3261e}\n"                                                                   \
    "@media(prefers-color-scheme:dark){:root{--ink:#e6e9ee;--soft:#9aa5b4;"              \
    "--page:#14181e;--card:#1c222a;--rule:#323a45;--warn:#3a2f10;--warn-ink:#f3d58a;"    \
    "--good:#5fd39a;--bad:#ff8a80}}\n"                                                   \
    "*{box-sizing:border-box}\n"                                                         \
    "body{margin:0 auto;max-width:1120px;padding:2rem 1.25rem 4rem;color:var(--ink);"    \
    "background:var(--page);font:16px/1.5 system-ui,sans-serif}\n"                       \
    "h1{font-size:1.7rem;line-height:1.2;margin:0 0 .4rem}\n"                            \
    "h2{font-size:1.2rem;margin:2.6rem 0 .5rem}\n"                                       \
    "p{max-width:46rem;margin:.4rem 0}.soft{color:var(--soft)}\n"                        \
    ".wide{overflow-x:auto}.wide:focus-visible{outline:2px solid var(--soft)}\n"         \
    "table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.92rem;" \
    "margin:.6rem 0}\n"                                                                  \
    "th,td{padding:.32rem .7rem;text-align:right;white-space:nowrap;"                    \
    "border-bottom:1px solid var(--rule)}\n"                                             \
    "th:first-child,td:first-child{text-align:left;padding-left:.2rem}\n"                \
    "thead th{color:var(--soft);font-weight:600;border-bottom-width:2px}\n"              \
    "tbody th{font-weight:500}tbody tr.first th,tbody tr.first td{font-weight:700}\n"    \
    "caption{text-align:left;color:var(--soft);padding-bottom:.3rem}\n"                  \
    "td small{color:var(--soft);font-weight:400}\n"                                      \
    ".ahead{color:var(--good);font-weight:600}.behind{color:var(--bad);"                 \
    "font-weight:600}\n"                                                                 \
    ".warn{background:var(--warn);color:var(--warn-ink);border-radius:8px;"              \
    "padding:.7rem 1rem;margin:1rem 0}.warn p{margin:.2rem 0;max-width:none}\n"          \
    ".charts{display:flex;flex-wrap:wrap;gap:14px}\n"                                    \
    "svg{background:var(--card);border-radius:8px;padding:8px;max-width:100%;"           \
    "height:auto}\n"                                                                     \
    "svg text{fill:var(--ink);font:13px system-ui,sans-serif}\n"                         \
    "svg .title{font-weight:600}svg .end{text-anchor:end}svg "                           \
    ".middle{text-anchor:middle}\n"                                                      \
    "svg .tick,svg .figure{fill:var(--soft);font-size:12px}\n"                           \
    "svg .grid{stroke:var(--rule)}svg .axis{stroke:var(--soft)}\n"                       \
    "svg .whisker{stroke:var(--ink);stroke-width:1.3}\n"                                 \
    "svg .best{stroke:var(--soft);stroke-dasharray:3 4}\n"                               \
    "svg .line{fill:none;stroke:var(--c);stroke-width:1.7}svg "                          \
    ".strong{stroke-width:2.8}\n"                                                        \
    "svg .lead{stroke:var(--c);stroke-width:1}svg .name{fill:var(--c);"                  \
    "font-weight:600}\n"                                                                 \
    "svg .bar{fill:var(--c);opacity:.72}svg .area{fill:var(--c);fill-opacity:.45;"       \
    "stroke:var(--c);stroke-width:1.4}\n"                                                \
    ".s0{--c:#d4313f}.s1{--c:#2f7ed8}.s2{--c:#1a9c86}.s3{--c:#c07f00}"                   \
    ".s4{--c:#8a63d2}.s5{--c:#5b9a2e}.s6{--c:#d0609a}.s7{--c:#8f6f58}"                   \
    ".s8{--c:#6f7f95}.s9{--c:#2499b8}.s10{--c:#8c8f22}.s11{--c:#a85a32}\n"               \
    "@media print{body{max-width:none}svg,.warn{break-inside:avoid}}\n"

#endif
