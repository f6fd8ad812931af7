//===- Html.cpp - The report as a page ------------------------------------===//
//
// One file without scripts, fonts or pictures from elsewhere: it can be mailed and archived.
//
//===----------------------------------------------------------------------===//

#include "simulator/report/Format.h"
#include "simulator/report/Report.h"

#include "llvm/Support/FormatVariadic.h"

#include <algorithm>
#include <cmath>

using namespace llvm;

namespace npucc {

namespace {

const char kStyle[] = R"css(
:root { --ink: #1b1f24; --soft: #59636e; --line: #d1d9e0; --ground: #ffffff; --bar: #2f6fb5; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6edf3; --soft: #9198a1; --line: #3d444d; --ground: #0d1117; --bar: #5a9be6; }
}
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--ground);
       max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: 0.2rem; }
h2 { font-size: 1.1rem; margin: 2rem 0 0.5rem; }
p.note, small { color: var(--soft); }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: 0.8rem; }
dl div { border: 1px solid var(--line); border-radius: 6px; padding: 0.5rem 0.8rem; }
dt { color: var(--soft); font-size: 0.85rem; }
dd { margin: 0; font-size: 1.25rem; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 0.9rem; }
th, td { padding: 0.25rem 0.6rem; border-bottom: 1px solid var(--line); text-align: left;
         white-space: nowrap; }
th { color: var(--soft); font-weight: 600; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
svg text { fill: var(--ink); font: 13px system-ui, sans-serif; }
)css";

class Page {
public:
  Page(raw_ostream &os, const RunReport &report) : os(os), report(report) {}

  void write() {
    std::string title = report.modelName + " on " + report.npuName;
    os << "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
       << "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>"
       << escapeHtml(title) << "</title>\n<style>" << kStyle << "</style></head><body>\n<h1>"
       << escapeHtml(title) << "</h1>\n<p class=\"note\">"
       << escapeHtml(report.precision + ", batch " + std::to_string(report.batch) + ", weights " +
                     report.weights + ", " + report.mode + " mode; energy of " +
                     report.energyScope + " at " + report.technology)
       << "</p>\n";
    summary();
    energy();
    baselines();
    layers();
    os << "<h2>Assumptions</h2>\n<ul>\n";
    for (const std::string &text : report.allAssumptions())
      os << "<li>" << escapeHtml(text) << "</li>\n";
    os << "</ul>\n<p class=\"note\">Model " << escapeHtml(report.modelPath) << ", sha256 "
       << escapeHtml(report.modelSha256) << "</p>\n</body></html>\n";
  }

private:
  raw_ostream &os;
  const RunReport &report;

  void fact(StringRef name, const std::string &value, const std::string &note) {
    os << "<div><dt>" << name << "</dt><dd>" << escapeHtml(value) << "</dd><small>"
       << escapeHtml(note) << "</small></div>\n";
  }

  void summary() {
    Bounded total = report.energy.total();
    os << "<dl>\n";
    fact("Latency", si(report.latencyS, "s"), grouped(report.cycles) + " cycles");
    fact("Throughput", si(report.inferencesPerSecond(), "inf/s"), "");
    fact("Utilization", percent(report.utilization),
         si(report.latencyS > 0 ? report.ops() / report.latencyS : 0, "op/s"));
    fact("Energy", si(total.value, "J"), si(total.low, "J", 3) + " to " + si(total.high, "J", 3));
    fact("Power", si(report.latencyS > 0 ? total.value / report.latencyS : 0, "W"), "average");
    fact("DRAM", si(report.dramReadBytes + report.dramWrittenBytes, "B"),
         si(report.dramReadBytes, "B", 3) + " read, " + si(report.dramWrittenBytes, "B", 3) +
             " written");
    if (report.verify)
      fact("Verified", report.verify->passed ? "passed" : "failed",
           "worst error " + significant(report.verify->maxAbsError, 3) + " absolute");
    os << "</dl>\n";
  }

  /// Bars of energy by component, with the interval as a line.
  void energy() {
    constexpr double kRow = 24, kLeft = 100, kWidth = 460;
    double largest = 0, total = report.energy.total().value;
    for (const Bounded &part : report.energy.byComponent)
      largest = std::max(largest, part.high);
    double scale = largest > 0 ? kWidth / largest : 0;
    os << "<h2>Energy by component</h2>\n<div class=\"scroll\"><svg role=\"img\" "
          "aria-label=\"Energy by component\" width=\"760\" height=\""
       << formatv("{0:F0}", kRow * double(kComponents)) << "\">\n";
    for (size_t i = 0; i < kComponents; ++i) {
      const Bounded &part = report.energy.byComponent[i];
      double top = double(i) * kRow, middle = top + kRow / 2;
      os << formatv("<text x=\"0\" y=\"{0:F1}\">{1}</text>", middle + 4,
                    componentName(static_cast<Component>(i)))
         << formatv("<rect x=\"{0:F1}\" y=\"{1:F1}\" width=\"{2:F1}\" height=\"{3:F1}\" "
                    "fill=\"var(--bar)\"/>",
                    kLeft, top + 4, part.value * scale, kRow - 8)
         << formatv("<line x1=\"{0:F1}\" x2=\"{1:F1}\" y1=\"{2:F1}\" y2=\"{2:F1}\" "
                    "stroke=\"var(--soft)\"/>",
                    kLeft + part.low * scale, kLeft + part.high * scale, middle)
         << formatv("<text x=\"{0:F1}\" y=\"{1:F1}\">{2}, {3}</text>\n",
                    kLeft + part.high * scale + 8, middle + 4, si(part.value, "J"),
                    percent(total > 0 ? part.value / total : 0));
    }
    os << "</svg></div>\n";
  }

  void cell(const std::string &text, bool isNumber = true) {
    os << (isNumber ? "<td class=\"n\">" : "<td>") << escapeHtml(text) << "</td>";
  }

  void head(ArrayRef<std::pair<const char *, bool>> columns) {
    os << "<div class=\"scroll\"><table><thead><tr>";
    for (auto [name, isNumber] : columns)
      os << (isNumber ? "<th class=\"n\">" : "<th>") << name << "</th>";
    os << "</tr></thead><tbody>\n";
  }

  std::string interval(const Ratio &ratio) {
    return times(ratio.nominal) + " (" + significant(ratio.low, 2) + " to " +
           significant(ratio.high, 2) + ")";
  }

  void baselines() {
    if (report.baselines.empty())
      return;
    os << "<h2>Compared with GPUs</h2>\n<p class=\"note\">Modelled, energy of chip and DRAM. Above "
          "1 the NPU is better; the last column brings the GPU's energy to the NPU's process "
          "node.</p>\n";
    head({{"GPU", false},
          {"Rule", false},
          {"Precision", false},
          {"Batch", true},
          {"Latency", true},
          {"Inferences/s", true},
          {"Energy/inference", true},
          {"Speed-up", true},
          {"Efficiency gain", true},
          {"at equal node", true}});
    for (const BaselineRow &row : report.baselines) {
      os << "<tr>";
      cell(row.title.empty() ? row.name : row.title, false);
      cell(row.rule, false);
      cell(row.precision, false);
      cell(std::to_string(row.batch));
      cell(si(row.latencyS, "s"));
      cell(si(row.inferencesPerSecond, "", 4));
      cell(si(row.energyJ / double(row.batch), "J"));
      cell(interval(row.speedup));
      cell(interval(row.efficiencyGain));
      cell(interval(row.efficiencyGainSameNode));
      os << "</tr>\n";
    }
    os << "</tbody></table></div>\n";
  }

  void layers() {
    os << "<h2>Layers</h2>\n<p class=\"note\">In program order. Cycles are the span in which a "
          "layer is busy; layers overlap. Time shares overlaps out evenly.</p>\n";
    head({{"Node", false},
          {"Operator", false},
          {"Engine", false},
          {"Time", true},
          {"", false},
          {"Cycles", true},
          {"MACs", true},
          {"DRAM", true},
          {"Energy", true},
          {"Bound by", false}});
    double longest = 1e-12;
    for (const LayerRow &row : report.layers)
      longest = std::max(longest, row.timeShare);
    for (const LayerRow &row : report.layers) {
      os << "<tr>";
      cell(row.node, false);
      cell(row.op, false);
      cell(row.op.empty() ? "" : row.engine, false);
      cell(percent(row.timeShare));
      os << formatv("<td><svg width=\"80\" height=\"10\"><rect width=\"{0:F1}\" height=\"10\" "
                    "fill=\"var(--bar)\"/></svg></td>",
                    80 * row.timeShare / longest);
      cell(grouped(row.cycles));
      cell(row.macs ? si(double(row.macs), "") : "");
      cell(row.dramBytes > 0 ? si(row.dramBytes, "B") : "");
      cell(si(row.energyJ, "J"));
      cell(row.op.empty() ? "" : row.bound, false);
      os << "</tr>\n";
    }
    os << "</tbody></table></div>\n";
  }
};

} // namespace

void writeHtml(raw_ostream &os, const RunReport &report) { Page(os, report).write(); }

} // namespace npucc
