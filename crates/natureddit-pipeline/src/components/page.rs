//! The pages among artifacts: no script, nothing fetched.

use maud::{DOCTYPE, Markup, PreEscaped, html};

/// A whole page. `plots`: those of [`crate::svg`] and pictures within the page are shown as well.
pub(super) fn page(title: &str, plots: bool, body: &Markup) -> String {
    let policy = match plots {
        true => "default-src 'none'; style-src 'unsafe-inline'; img-src data:",
        false => "default-src 'none'; style-src 'unsafe-inline'",
    };
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy" content=(policy);
                title { (title) }
                style { (PreEscaped(STYLE)) @if plots { (PreEscaped(crate::svg::STYLE)) } }
            }
            body { main { (body) } }
        }
    };
    page.into_string()
}

/// Light, dark, and on paper.
const STYLE: &str = "\
:root{--paper:#fff;--card:#f6f8f7;--ink:#17211c;--soft:#5b6861;--line:#dde4e0;--good:#1a7f4b;--bad:#b3261e;\
--c0:#1b7f79;--c1:#c4581b;--c2:#3f5fbf;--c3:#8a4f9e;--c4:#8c7a00;--c5:#b83a6b}\
@media screen and (prefers-color-scheme:dark){:root{--paper:#121715;--card:#1b2220;--ink:#e6ece9;--soft:#9fada6;\
--line:#313b37;--good:#57c98b;--bad:#ff8a80;--c0:#4cc2b8;--c1:#f0935c;--c2:#8aa4ff;--c3:#c79bdb;--c4:#d6c24a;--c5:#f184ad}}\
*{box-sizing:border-box}\
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,-apple-system,'Segoe UI',sans-serif}\
main{max-width:1080px;margin:0 auto;padding:24px 20px 48px}\
h1{font-size:28px;line-height:1.2;margin:0 0 4px;overflow-wrap:anywhere}h2{font-size:19px;margin:36px 0 4px}\
h3{font-size:15px;margin:0 0 6px}p{margin:4px 0 12px}.lead{font-size:17px;color:var(--soft)}.note{color:var(--soft);max-width:75ch}\
.verdict{margin:20px 0;padding:14px 18px;border-radius:8px;background:var(--card);border-left:6px solid}\
.verdict h2{margin:0 0 6px;font-size:22px}.blessed{border-color:var(--good)}.blessed h2{color:var(--good)}\
.refused{border-color:var(--bad)}.refused h2{color:var(--bad)}\
.rulings{list-style:none;margin:0;padding:0}.rulings li{padding-left:22px;position:relative;overflow-wrap:anywhere}\
.rulings li::before{position:absolute;left:0;font-weight:700}\
.met::before{content:'\\2713';color:var(--good)}.unmet::before{content:'\\2717';color:var(--bad)}.unmet{font-weight:600}\
.scroll{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums;margin:8px 0 12px}\
th,td{padding:5px 14px 5px 0;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}\
th:first-child,td:first-child{text-align:left}thead th{color:var(--soft);font-weight:600;vertical-align:bottom}\
tbody th{font-weight:600}td small{color:var(--soft);margin-left:6px}td.name,th.name{text-align:left;white-space:normal;overflow-wrap:anywhere}\
tr.kind th{padding-top:16px;color:var(--soft)}tr.kind th::first-letter{text-transform:uppercase}tr.few td{color:var(--soft)}td.low{color:var(--bad);font-weight:700}\
.confusion td{padding:8px 14px;text-align:center;min-width:84px;border:2px solid var(--paper)}\
.confusion th{padding:5px 14px;text-align:center}.confusion tbody th{text-align:right}\
.confusion td small{display:block;margin:0;color:inherit;opacity:.8}\
.confusion td{background:color-mix(in srgb,var(--c1) calc(var(--share)*.6%),var(--card))}\
.confusion td.right{background:color-mix(in srgb,var(--c0) calc(var(--share)*.45%),var(--card))}\
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(300px,1fr));gap:20px;margin:12px 0}\
figure{margin:0;padding:12px;background:var(--card);border-radius:8px;break-inside:avoid}figcaption{font-weight:600;margin-bottom:6px}\
figcaption small{font-weight:400;color:var(--soft)}\
.whisker{width:170px;height:14px;vertical-align:middle}.whisker line{stroke:var(--soft);stroke-width:2}.whisker .base{stroke:var(--line);stroke-width:1}\
.whisker .limit{stroke:var(--bad);stroke-dasharray:2 2}.whisker circle{fill:var(--c0)}\
.mistakes{display:grid;grid-template-columns:repeat(auto-fill,minmax(210px,1fr));gap:16px;margin:12px 0}\
.mistake{background:var(--card);border-radius:8px;overflow:hidden;break-inside:avoid}\
.photo{height:170px;display:flex;align-items:center;justify-content:center;background:var(--line);color:var(--soft)}\
.photo img{max-width:100%;max-height:170px;display:block}.mistake .text{padding:10px 12px}\
.mistake .title{overflow-wrap:anywhere;margin:0 0 6px;display:-webkit-box;-webkit-line-clamp:4;-webkit-box-orient:vertical;overflow:hidden}\
.mistake dl{display:grid;grid-template-columns:auto 1fr;gap:0 10px;margin:0;font-size:13px}.mistake dt,.origin dt{color:var(--soft)}\
.mistake dd{margin:0;overflow-wrap:anywhere}.wrong{color:var(--bad);font-weight:600}.right-answer{color:var(--good);font-weight:600}\
footer{margin-top:40px;padding-top:12px;border-top:1px solid var(--line);color:var(--soft);font-size:13px}\
.origin{display:grid;grid-template-columns:auto 1fr;gap:0 12px;margin:0}.origin dd{margin:0;overflow-wrap:anywhere}\
@media print{body{font-size:11px}main{max-width:none;padding:0}h2{break-after:avoid}\
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}.charts{grid-template-columns:1fr 1fr}.mistakes{grid-template-columns:repeat(4,1fr)}}\n";
