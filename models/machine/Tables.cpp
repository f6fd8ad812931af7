//===- Tables.cpp - Reading models/dram and models/technology -------------===//

#include "models/machine/DataFile.h"
#include "models/machine/Machine.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Path.h"

using namespace llvm;

namespace npucc {

namespace {

/// The text of models/<kind>/<name>.yaml.
Expected<std::string> textOf(StringRef kind, StringRef name, SmallVectorImpl<char> &path) {
  std::vector<std::string> names = listDataFiles(kind);
  // Only bundled names: a name from a machine file must not become a path.
  if (!is_contained(names, name))
    return createStringError("models/" + kind + " has no '" + name + "'" + suggestion(name, names) +
                             " (it has " + join(names, ", ") + ")");
  std::string folder = modelsFolder();
  path.assign(folder.begin(), folder.end());
  sys::path::append(path, kind, name + ".yaml");
  return readDataText(std::string(path.begin(), path.end()));
}

void readEntries(DataFile &file, DataMap map, StringRef path, StringRef unit,
                 std::map<std::string, Constant> &out) {
  for (const DataNode &entry : map.entries()) {
    Constant constant;
    if (readConstant(file, entry, (path + "." + entry.key).str(), unit, constant))
      out[entry.key] = constant;
  }
}

} // namespace

Expected<DramStandard> loadDram(StringRef name) {
  SmallString<256> path;
  Expected<std::string> text = textOf("dram", name, path);
  if (!text)
    return text.takeError();
  DataFile file(path);
  DataNode root = file.parse(*text);
  if (file.failed())
    return file.takeError();

  DramStandard dram;
  constexpr double kMaxNs = 1e7;
  DataMap map(file, &root, "");
  map.text("name", dram.name);
  map.text("source", dram.source);
  map.number("mega_transfers_per_second", dram.megaTransfersPerSecond, 1, 1e6);
  map.integer("transfers_per_clock", dram.transfersPerClock, 1, 16);
  map.integer("channel_width_bits", dram.channelWidthBits, 1, 4096);
  map.integer("burst_length", dram.burstLength, 1, 256);
  map.integer("bank_groups", dram.bankGroups, 1, 64);
  map.integer("banks_per_group", dram.banksPerGroup, 1, 64);
  map.integer("page_bytes", dram.pageBytes, 64, 1 << 20);
  DataMap timing = map.map("timing_ns");
  const std::pair<StringRef, double *> kTimes[] = {
      {"tRCD", &dram.tRcdNs},        {"tRP", &dram.tRpNs},         {"tRAS", &dram.tRasNs},
      {"tRC", &dram.tRcNs},          {"tCL", &dram.tClNs},         {"tCWL", &dram.tCwlNs},
      {"tRTP", &dram.tRtpNs},        {"tWR", &dram.tWrNs},         {"tFAW", &dram.tFawNs},
      {"tRRD_S", &dram.tRrdShortNs}, {"tRRD_L", &dram.tRrdLongNs}, {"tRTW", &dram.tRtwNs},
      {"tWTR_S", &dram.tWtrShortNs}, {"tWTR_L", &dram.tWtrLongNs}, {"tREFI", &dram.tRefiNs},
      {"tCCD_S", &dram.tCcdShortNs}, {"tCCD_L", &dram.tCcdLongNs}, {"tRFC", &dram.tRfcNs}};
  for (const auto &[key, value] : kTimes)
    timing.number(key, *value, 0, kMaxNs);
  // Where a standard does not tell the two apart.
  dram.tRcdWriteNs = dram.tRcdNs;
  dram.tRpAllNs = dram.tRpNs;
  dram.tCcdLongWriteNs = dram.tCcdLongNs;
  timing.number("tRCD_WR", dram.tRcdWriteNs, 0, kMaxNs, DataMap::Optional);
  timing.number("tRP_ab", dram.tRpAllNs, 0, kMaxNs, DataMap::Optional);
  timing.number("tCCD_L_WR", dram.tCcdLongWriteNs, 0, kMaxNs, DataMap::Optional);
  timing.number("tRFC_pb", dram.tRfcBankNs, 0, kMaxNs, DataMap::Optional);
  timing.finish();
  DataMap energy = map.map("energy");
  energy.constant("read", dram.energy.readPjPerBit, "pJ/bit");
  energy.constant("write", dram.energy.writePjPerBit, "pJ/bit");
  energy.constant("activate", dram.energy.activatePj, "pJ");
  energy.constant("refresh", dram.energy.refreshPj, "pJ");
  energy.constant("background_per_channel", dram.energy.backgroundWPerChannel, "W");
  energy.finish();
  map.finish();
  if (file.failed())
    return file.takeError();
  return dram;
}

Expected<Technology> loadTechnology(StringRef name) {
  SmallString<256> path;
  Expected<std::string> text = textOf("technology", name, path);
  if (!text)
    return text.takeError();
  DataFile file(path);
  DataNode root = file.parse(*text);
  if (file.failed())
    return file.takeError();

  Technology technology;
  DataMap map(file, &root, "");
  map.text("name", technology.name);
  map.number("node_nm", technology.nodeNm, 0.1, 1000);
  map.number("nominal_voltage_v", technology.nominalVoltageV, 0.1, 5);
  readEntries(file, map.map("energy", DataMap::Optional), "energy", "pJ", technology.energyPj);
  map.finish();
  if (file.failed())
    return file.takeError();
  return technology;
}

} // namespace npucc
