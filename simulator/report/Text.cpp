//===- Text.cpp - The report for people -----------------------------------===//

#include "simulator/report/Format.h"
#include "simulator/report/Report.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"

#include <algorithm>

using namespace llvm;

namespace npucc {

namespace {

constexpr size_t kColumns = 100;

/// `text` broken at spaces, further lines indented.
void paragraph(raw_ostream &os, StringRef text, StringRef first, StringRef further) {
  std::string line = first.str();
  bool empty = true;
  SmallVector<StringRef, 32> words;
  text.split(words, ' ', -1, /*KeepEmpty=*/false);
  for (StringRef word : words) {
    if (!empty && line.size() + 1 + word.size() > kColumns) {
      os << line << "\n";
      line = further.str();
      empty = true;
    }
    line += (empty ? "" : " ") + word.str();
    empty = false;
  }
  os << line << "\n";
}

class Printer {
public:
  Printer(raw_ostream &os, const RunReport &report, const TextOptions &options)
      : os(os), report(report), options(options), style(options.color) {}

  void print() {
    os << style.bold << fit(report.modelName.empty() ? "model" : report.modelName, 48) << " on "
       << report.npuName << style.end << "  " << report.precision << ", batch " << report.batch
       << ", weights " << report.weights << (report.mode == "timing" ? ", timing only" : "")
       << "\n\n";
    summary();
    breakdown();
    slowest();
    comparison();
    notes();
  }

private:
  raw_ostream &os;
  const RunReport &report;
  const TextOptions &options;
  Style style;

  void heading(const std::string &text) { os << "\n" << style.bold << text << style.end << "\n"; }

  void summary() {
    Bounded energy = report.energy.total();
    double opsPerSecond = report.latencyS > 0 ? report.ops() / report.latencyS : 0;
    auto perJoule = [&](double what) { return energy.value > 0 ? what / energy.value : 0; };
    auto line = [&](StringRef label, const std::string &value, const std::string &note) {
      os << "  " << label << std::string(14 - label.size(), ' ') << style.bold << value
         << style.end;
      if (!note.empty())
        os << std::string(value.size() < 16 ? 16 - value.size() : 2, ' ') << note;
      os << "\n";
    };
    line("latency", si(report.latencyS, "s"),
         grouped(report.cycles) + " cycles at " + si(report.clockHz, "Hz"));
    line("throughput", si(report.inferencesPerSecond(), "inf/s"), "");
    line("utilization", percent(report.utilization),
         si(double(report.macs), "MAC") + ", " + si(opsPerSecond, "op/s"));
    line("lower bound", si(report.lowerBoundS, "s"),
         report.lowerBoundS > 0
             ? "latency is " + times(report.latencyS / report.lowerBoundS) +
                   " of it; the compiler's estimate was off by " + percent(report.estimateError)
             : "");
    line("energy", si(energy.value, "J"),
         si(energy.low, "J", 3) + " to " + si(energy.high, "J", 3) + ", " + report.energyScope);
    Bounded area = report.area.total();
    line("area", significant(area.value, 3) + " mm2",
         significant(area.low, 2) + " to " + significant(area.high, 2) + " mm2, with DRAM's PHY");
    line("power", si(report.latencyS > 0 ? energy.value / report.latencyS : 0, "W"),
         si(perJoule(report.ops()), "op/J") + ", " + si(perJoule(double(report.batch)), "inf/J"));
    line("DRAM", si(report.dramReadBytes + report.dramWrittenBytes, "B"),
         si(report.dramReadBytes, "B") + " read, " + si(report.dramWrittenBytes, "B") + " written");
    if (report.hostNodes > 0)
      line("host", grouped(report.hostNodes) + " nodes",
           percent(report.hostTimeShare) + " of the time, " + percent(report.hostEnergyShare) +
               " of the energy");
    if (report.verify) {
      bool passed = report.verify->passed;
      os << "  verified      " << (passed ? style.good : style.bad)
         << (passed ? "passed" : "FAILED") << style.end << "          worst error "
         << significant(report.verify->maxAbsError, 3) << " absolute, "
         << significant(report.verify->maxRelError, 3) << " relative\n";
    }
    if (report.quantization)
      quantization(*report.quantization);
  }

  void quantization(const QuantizationReport &quantization) {
    os << "  int8          " << percent(quantization.int8MacShare) << " of the MACs\n";
    for (const QuantizationReport::Output &output : quantization.outputs) {
      os << "  SNR           " << formatv("{0:F1} dB", output.snrDb) << "  " << output.name;
      for (const QuantizationReport::Group &group : output.groups)
        os << formatv(", {0:F1} dB in channels {1} to {2}", group.snrDb, group.begin,
                      group.end - 1);
      os << "\n";
    }
  }

  void breakdown() {
    heading("Energy by component");
    double total = report.energy.total().value;
    TextTable table("lrrll");
    table.add({"component", "energy", "share", "", "interval"});
    for (size_t i = 0; i < kComponents; ++i) {
      const Bounded &part = report.energy.byComponent[i];
      double share = total > 0 ? part.value / total : 0;
      table.add({componentName(static_cast<Component>(i)), si(part.value, "J"), percent(share),
                 std::string(static_cast<size_t>(share * 30 + 0.5), '#'),
                 si(part.low, "J", 3) + " to " + si(part.high, "J", 3)});
    }
    table.print(os, 2, style.dim, style.end);
  }

  void slowest() {
    std::vector<size_t> order;
    for (size_t i = 0; i < report.layers.size(); ++i)
      if (options.verbose || report.layers[i].timeShare > 0)
        order.push_back(i);
    size_t all = order.size();
    if (!options.verbose) {
      llvm::sort(order, [&](size_t a, size_t b) {
        double first = report.layers[a].timeShare, second = report.layers[b].timeShare;
        return first != second ? first > second : a < b;
      });
      order.resize(std::min(order.size(), options.slowestLayers));
    }
    if (order.empty())
      return;
    heading(options.verbose ? "Layers"
                            : "Slowest layers (" + std::to_string(order.size()) + " of " +
                                  std::to_string(all) + ")");
    double total = report.energy.total().value;
    TextTable table("lllrrrrrl");
    table.add({"node", "op", "engine", "time", "cycles", "MACs", "DRAM", "energy", "bound by"});
    for (size_t i : order) {
      const LayerRow &row = report.layers[i];
      table.add({fit(row.node, 24), fit(row.op, 14), row.op.empty() ? "" : row.engine,
                 percent(row.timeShare), row.cycles ? grouped(row.cycles) : "",
                 row.macs ? si(double(row.macs), "", 3) : "",
                 row.dramBytes > 0 ? si(row.dramBytes, "B", 3) : "",
                 percent(total > 0 ? row.energyJ / total : 0), row.op.empty() ? "" : row.bound});
    }
    table.print(os, 2, style.dim, style.end);
  }

  std::string ratioText(const Ratio &ratio) {
    return times(ratio.nominal) + " (" + significant(ratio.low, 2) + ".." +
           significant(ratio.high, 2) + ")";
  }

  void comparison() {
    if (report.baselines.empty())
      return;
    heading("Compared with GPUs (modelled; above 1x the NPU is better)");
    TextTable table("llrrrrrr");
    table.add({"GPU", "precision", "batch", "latency", "inf/s", "J/inf", "speed", "efficiency"});
    for (const BaselineRow &row : report.baselines)
      table.add({row.name, row.precision, std::to_string(row.batch), si(row.latencyS, "s"),
                 si(row.inferencesPerSecond, "", 3), si(row.energyJ / double(row.batch), "J", 3),
                 times(row.speedup.nominal), ratioText(row.efficiencyGain)});
    table.print(os, 2, style.dim, style.end);
    const Ratio &speed = report.baselines[0].speedup;
    std::string error = speed.nominal > 0 ? significant(speed.high / speed.nominal, 2) : "1";
    paragraph(os,
              "Two rows a GPU: the same batch (speed is latency), and its best batch (speed is "
              "throughput). Speeds are good to a factor of " +
                  error + " either way. Energy is that of chip and DRAM; process nodes differ.",
              "  ", "  ");
  }

  void notes() {
    std::vector<std::string> assumptions = report.allAssumptions();
    if (assumptions.empty())
      return;
    heading("Assumptions");
    size_t shown = options.verbose ? assumptions.size() : std::min<size_t>(assumptions.size(), 8);
    for (size_t i = 0; i < shown; ++i)
      paragraph(os, assumptions[i], "  - ", "    ");
    if (shown < assumptions.size())
      os << "  - " << assumptions.size() - shown << " more with --verbose\n";
  }
};

} // namespace

void writeText(raw_ostream &os, const RunReport &report, const TextOptions &options) {
  Printer(os, report, options).print();
}

} // namespace npucc
