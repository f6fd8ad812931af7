//===- Json.cpp - The machine-readable report -----------------------------===//

#include "simulator/report/Report.h"

#include "llvm/Support/JSON.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>

using namespace llvm;

namespace npucc {

namespace {

/// Twelve digits are more than any model here knows; whole numbers are written as such.
json::Value number(double value) {
  if (!std::isfinite(value))
    return nullptr;
  constexpr double kExact = 9007199254740992.0; // 2^53
  if (value == std::floor(value) && std::fabs(value) < kExact)
    return static_cast<int64_t>(value);
  char buffer[40];
  snprintf(buffer, sizeof buffer, "%.12g", value);
  return std::strtod(buffer, nullptr);
}

class Writer {
public:
  Writer(raw_ostream &os, const RunReport &report) : json(os, /*IndentSize=*/2), report(report) {}

  void write() {
    json.object([&] {
      attribute("schema", 1.0);
      json.attributeObject("model", [&] {
        attribute("path", report.modelPath);
        attribute("name", report.modelName);
        attribute("sha256", report.modelSha256);
        attribute("parameters", double(report.parameters));
        attribute("macs", double(report.macs));
      });
      json.attributeObject("npu", [&] {
        attribute("name", report.npuName);
        attribute("clock_hz", report.clockHz);
        attribute("node_nm", report.nodeNm);
        attribute("technology", report.technology);
        numbers("peak_ops_per_s", report.peakOpsPerSecond);
      });
      attribute("mode", report.mode);
      attribute("precision", report.precision);
      attribute("batch", double(report.batch));
      attribute("weights", report.weights);
      figures();
      numbers("actions", report.actions);
      numbers("energy_per_action_j", report.energyPerActionJ);
      staticPower();
      area();
      constants();
      json.attributeObject("host", [&] {
        attribute("nodes", double(report.hostNodes));
        attribute("time_share", report.hostTimeShare);
        attribute("energy_share", report.hostEnergyShare);
      });
      json.attributeArray("layers", [&] {
        for (const LayerRow &row : report.layers)
          layer(row);
      });
      json.attributeArray("baselines", [&] {
        for (const BaselineRow &row : report.baselines)
          baseline(row);
      });
      json.attributeArray("assumptions", [&] {
        for (const std::string &text : report.allAssumptions())
          json.value(json::fixUTF8(text));
      });
      if (report.verify)
        json.attributeObject("verify", [&] {
          attribute("max_abs_error", report.verify->maxAbsError);
          attribute("max_rel_error", report.verify->maxRelError);
          json.attribute("passed", report.verify->passed);
        });
      else
        json.attribute("verify", nullptr);
      quantization();
      json.attributeObject("tool", [&] {
        attribute("compile_cpu_s", report.tool.compileCpuS);
        attribute("simulate_cpu_s", report.tool.simulateCpuS);
        attribute("peak_rss_bytes", double(report.tool.peakRssBytes));
      });
    });
  }

private:
  void quantization() {
    if (!report.quantization)
      return;
    const QuantizationReport &quantization = *report.quantization;
    json.attributeObject("quantization", [&] {
      json.attribute("ranges", quantization.ranges.empty() ? "nominal" : quantization.ranges);
      attribute("samples", double(quantization.samples));
      attribute("int8_mac_share", quantization.int8MacShare);
      json.attributeArray("float_nodes", [&] {
        for (const std::string &node : quantization.floatNodes)
          json.value(node);
      });
      json.attributeArray("outputs", [&] {
        for (const QuantizationReport::Output &output : quantization.outputs)
          json.object([&] {
            json.attribute("name", output.name);
            attribute("snr_db", output.snrDb);
            json.attributeArray("groups", [&] {
              for (const QuantizationReport::Group &group : output.groups)
                json.object([&] {
                  json.attributeArray("channels", [&] {
                    json.value(group.begin);
                    json.value(group.end);
                  });
                  attribute("snr_db", group.snrDb);
                });
            });
          });
      });
    });
  }

  json::OStream json;
  const RunReport &report;

  void attribute(StringRef key, double value) { json.attribute(key, number(value)); }
  void attribute(StringRef key, const std::string &text) {
    json.attribute(key, json::fixUTF8(text));
  }

  void numbers(StringRef key, const std::map<std::string, double> &values) {
    json.attributeObject(key, [&] {
      for (const auto &[name, value] : values)
        attribute(name, value);
    });
  }

  void interval(StringRef key, double low, double high) {
    json.attributeArray(key, [&] {
      json.value(number(low));
      json.value(number(high));
    });
  }

  void ratio(StringRef key, const Ratio &ratio) {
    json.attributeObject(key, [&] {
      attribute("nominal", ratio.nominal);
      attribute("low", ratio.low);
      attribute("high", ratio.high);
    });
  }

  void figures() {
    Bounded total = report.energy.total();
    attribute("cycles", double(report.cycles));
    attribute("latency_s", report.latencyS);
    attribute("inferences_per_s", report.inferencesPerSecond());
    attribute("ops", report.ops());
    attribute("achieved_ops_per_s", report.latencyS > 0 ? report.ops() / report.latencyS : 0);
    attribute("utilization", report.utilization);
    attribute("lower_bound_s", report.lowerBoundS);
    attribute("estimate_error", report.estimateError);
    attribute("energy_scope", report.energyScope);
    json.attributeObject("energy_j", [&] {
      attribute("total", total.value);
      for (size_t i = 0; i < kComponents; ++i)
        attribute(componentName(static_cast<Component>(i)), report.energy.byComponent[i].value);
    });
    interval("energy_interval_j", total.low, total.high);
    attribute("average_power_w", report.latencyS > 0 ? total.value / report.latencyS : 0);
    attribute("ops_per_j", total.value > 0 ? report.ops() / total.value : 0);
    attribute("inferences_per_j", total.value > 0 ? double(report.batch) / total.value : 0);
    json.attributeObject("dram_bytes", [&] {
      attribute("read", report.dramReadBytes);
      attribute("written", report.dramWrittenBytes);
    });
  }

  void staticPower() {
    json.attributeObject("static_power_w", [&] {
      attribute("total", report.staticPower.total().value);
      attribute("matrix", report.staticPower.matrix.value);
      attribute("vector", report.staticPower.vector.value);
      attribute("scratchpad", report.staticPower.scratchpad.value);
      attribute("core", report.staticPower.core.value);
      attribute("clock", report.staticPower.clock.value);
      attribute("dram", report.staticPower.dram.value);
      attribute("dram_refresh", report.staticPower.dramRefresh.value);
    });
  }

  void area() {
    const Area &area = report.area;
    Bounded total = area.total();
    json.attributeObject("area_mm2", [&] {
      attribute("total", total.value);
      attribute("matrix", area.matrix.value);
      attribute("vector", area.vector.value);
      attribute("scratchpad", area.scratchpad.value);
      attribute("noc", area.noc.value);
      attribute("dram_phy", area.dramPhy.value);
      attribute("control", area.control.value);
    });
    interval("area_interval_mm2", total.low, total.high);
  }

  void constants() {
    json.attributeArray("constants", [&] {
      for (const EnergyConstant &constant : report.constants)
        json.object([&] {
          attribute("name", constant.name);
          attribute("value", constant.value);
          attribute("low", constant.low);
          attribute("high", constant.high);
          attribute("unit", constant.unit);
          if (constant.nodeNm > 0) {
            attribute("node_nm", constant.nodeNm);
            attribute("voltage_v", constant.voltageV);
            attribute("generations_scaled", constant.generations);
          }
          attribute("scope", constant.scope);
          attribute("confidence", constant.confidence);
          attribute("source", constant.source);
        });
    });
    // Joules (watts) per unit of a constant.
    json.attributeObject("composition", [&] {
      for (const auto &entry : report.composition)
        json.attributeObject(entry.first, [&] {
          for (const auto &[constant, factor] : entry.second)
            attribute(constant, factor);
        });
    });
  }

  void layer(const LayerRow &row) {
    json.object([&] {
      attribute("node", row.node);
      attribute("op", row.op);
      attribute("engine", row.engine);
      attribute("cycles", double(row.cycles));
      json.attributeObject("engine_busy_cycles", [&] {
        attribute("matrix", double(row.matrixCycles));
        attribute("vector", double(row.vectorCycles));
        attribute("dma", double(row.dmaCycles));
        attribute("host", double(row.hostCycles));
      });
      attribute("macs", double(row.macs));
      attribute("dram_bytes", row.dramBytes);
      attribute("energy_j", row.energyJ);
      attribute("time_share", row.timeShare);
      attribute("bound", row.bound);
    });
  }

  void baseline(const BaselineRow &row) {
    json.object([&] {
      attribute("name", row.name);
      attribute("rule", row.rule);
      attribute("precision", row.precision);
      attribute("batch", double(row.batch));
      attribute("energy_scope", row.energyScope);
      attribute("node_nm", row.nodeNm);
      attribute("latency_s", row.latencyS);
      attribute("inferences_per_s", row.inferencesPerSecond);
      attribute("energy_j", row.energyJ);
      attribute("energy_per_inference_j", row.energyJ / double(row.batch));
      ratio("speedup", row.speedup);
      ratio("efficiency_gain", row.efficiencyGain);
      ratio("efficiency_gain_same_node", row.efficiencyGainSameNode);
      attribute("accuracy_match", row.accuracyMatch);
      json.attributeArray("constants", [&] {
        for (const auto &entry : row.constants)
          json.object([&] {
            attribute("name", entry.first);
            attribute("value", entry.second.value);
            attribute("low", entry.second.low);
            attribute("high", entry.second.high);
            attribute("unit", entry.second.unit);
            attribute("scope", std::string("board"));
            attribute("confidence", entry.second.confidence);
            attribute("source", entry.second.source);
          });
      });
      attribute("streamed_bytes", row.streamedBytes);
    });
  }
};

} // namespace

void writeJson(raw_ostream &os, const RunReport &report) {
  Writer(os, report).write();
  os << "\n";
}

} // namespace npucc
