//===- Gpu.cpp - Reading models/gpu, and what to compare with -------------===//

#include "simulator/baseline/Baseline.h"

#include "models/machine/DataFile.h"
#include "models/machine/Machine.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Path.h"


using namespace llvm;

namespace npucc {

namespace {

const std::vector<std::string> &precisionNames() {
  static const std::vector<std::string> kNames = {"fp32", "tf32", "fp16", "bf16",
                                                  "fp8",  "int8", "int4"};
  return kNames;
}

Error noGpu(StringRef name, ArrayRef<std::string> names) {
  return createStringError("no GPU is named '" + name + "'" + suggestion(name, names) +
                           " (known: " + join(names, ", ") + ")");
}

void readRates(DataFile &file, DataMap map, Gpu &gpu) {
  for (const DataNode &entry : map.entries()) {
    if (!is_contained(precisionNames(), entry.key)) {
      file.error(entry.keyLine, entry.keyColumn,
                 "unknown precision '" + entry.key + "'" + suggestion(entry.key, precisionNames()));
      continue;
    }
    DataMap rate(file, &entry, "rates." + entry.key);
    Gpu::Rate &out = gpu.rates[entry.key];
    rate.number("ops_per_s", out.opsPerSecond, 1e6, 1e18);
    rate.number("sustained", out.sustained, 0.01, 1);
    rate.constant("energy", out.energyPj, "pJ");
    rate.finish();
  }
  if (map.present() && !gpu.rates.count("fp32"))
    file.error(*map.where(), "rates must have fp32");
}

void readDla(DataMap map, Dla &dla) {
  if (!map.present())
    return;
  map.integer("count", dla.count, 1, 64);
  map.number("ops_per_s", dla.opsPerSecond, 1e6, 1e18);
  map.number("sustained", dla.sustained, 0.01, 1);
  map.number("bytes_per_second", dla.bytesPerSecond, 1e6, 1e15);
  map.number("channels", dla.channels, 1, 4096);
  map.constant("energy", dla.energyPj, "pJ");
  map.finish();
}

} // namespace

std::vector<std::string> listGpus() { return listDataFiles("gpu"); }

Expected<Gpu> loadGpu(StringRef name) {
  std::vector<std::string> names = listGpus();
  if (!is_contained(names, name))
    return noGpu(name, names);
  SmallString<256> path(modelsFolder());
  sys::path::append(path, "gpu", name + ".yaml");
  Expected<std::string> text = readDataText(path.str().str());
  if (!text)
    return text.takeError();
  DataFile file(path);
  DataNode root = file.parse(*text);
  if (file.failed())
    return file.takeError();

  Gpu gpu;
  DataMap map(file, &root, "");
  map.text("name", gpu.name);
  map.text("title", gpu.title);
  map.number("node_nm", gpu.nodeNm, 0.1, 1000);
  map.integer("sms", gpu.sms, 1, 4096);
  map.number("clock_hz", gpu.clockHz, 1e6, 1e11);
  map.number("tdp_w", gpu.tdpW, 0.1, 1e5);
  map.number("idle_w", gpu.idleW, 0, 1e4);
  map.number("shared_bytes_per_clock", gpu.sharedBytesPerClock, 1, 4096);
  map.number("cluster_tiles", gpu.clusterTiles, 1, 16);
  map.number("kernel_overhead_s", gpu.kernelOverheadS, 0, 1);
  map.number("host_link_bytes_per_second", gpu.hostLinkBytesPerSecond, 1e6, 1e13);
  DataMap memory = map.map("memory");
  memory.number("bytes", gpu.memoryBytes, 1e6, 1e15);
  memory.number("bytes_per_second", gpu.dramBytesPerSecond, 1e6, 1e15);
  memory.number("sustained", gpu.dramSustained, 0.01, 1);
  memory.number("latency_s", gpu.dramLatencyS, 0, 1);
  memory.finish();
  DataMap l2 = map.map("l2");
  l2.number("bytes", gpu.l2Bytes, 0, 1e12);
  l2.number("bytes_per_second", gpu.l2BytesPerSecond, 1e6, 1e16);
  l2.finish();
  readRates(file, map.map("rates"), gpu);
  readDla(map.map("dla", DataMap::Optional), gpu.dla);
  DataMap energy = map.map("energy");
  energy.constant("dram_per_byte", gpu.dramPjPerByte, "pJ");
  energy.constant("l2_per_byte", gpu.l2PjPerByte, "pJ");
  energy.constant("active_power", gpu.activeW, "W");
  energy.constant("scope_factor", gpu.scopeFactor, "1");
  energy.finish();
  // Where the plain numbers come from: any keys, for readers.
  for (const DataNode &entry : map.map("sources").entries())
    gpu.source += (gpu.source.empty() ? "" : "; ") + entry.key + ": " + entry.scalar;
  map.finish();
  if (file.failed())
    return file.takeError();
  return gpu;
}

// One data-centre part, one that people have, one of the edge.
std::string defaultBaselines() { return "h100-sxm,rtx4090,jetson-agx-orin-64"; }

Expected<std::vector<BaselineRequest>> parseBaselines(StringRef list) {
  std::vector<BaselineRequest> requests;
  if (list.trim().empty() || list == "none")
    return requests;
  std::vector<std::string> names = listGpus();
  SmallVector<StringRef, 8> items;
  list.split(items, ',', -1, /*KeepEmpty=*/false);
  for (StringRef item : items) {
    SmallVector<StringRef, 3> parts;
    item.trim().split(parts, '@');
    BaselineRequest request;
    request.name = parts[0].str();
    if (!is_contained(names, request.name))
      return noGpu(request.name, names);
    for (StringRef part : drop_begin(parts)) {
      int64_t batch = 0;
      if (!part.getAsInteger(10, batch)) {
        if (batch < 1 || batch > (1 << 20))
          return createStringError("--baseline " + item + ": the batch must be from 1 to 1048576");
        request.batch = batch;
      } else if (is_contained(precisionNames(), part)) {
        request.precision = part.str();
      } else {
        return createStringError("--baseline " + item + ": '" + part +
                                 "' is neither a batch nor a precision (" +
                                 join(precisionNames(), ", ") + ")");
      }
    }
    requests.push_back(std::move(request));
  }
  return requests;
}

std::string matchPrecision(const Gpu &gpu, StringRef precision) {
  // From the fastest on, what is no less accurate than each arithmetic of the NPU. TF32 has
  // fp32's range but 10 bits of fraction: no match for fp32 unless it is asked for.
  static const std::pair<StringRef, std::vector<std::string>> kChoices[] = {
      {"int4", {"int4", "int8", "fp16", "fp32"}},
      {"int8", {"int8", "fp16", "fp32"}},
      {"int16", {"fp32"}},
      {"fp8", {"fp8", "fp16", "fp32"}},
      {"bf16", {"bf16", "fp32"}},
      {"fp16", {"fp16", "fp32"}}};
  precision.consume_front("u"); // uint8 and uint16 need what their signed forms need
  for (const auto &[name, choices] : kChoices)
    if (precision.starts_with(name))
      for (const std::string &choice : choices)
        if (gpu.rates.count(choice))
          return choice;
  return "fp32";
}

} // namespace npucc
