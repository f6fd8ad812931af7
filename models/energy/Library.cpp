//===- Library.cpp - Published energies and areas of components -----------===//

#include "models/energy/Library.h"

#include "models/machine/Machine.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/Support/Path.h"

#include <cstdio>
#include <map>
#include <mutex>

using namespace llvm;

namespace npucc {

namespace {

constexpr StringRef kFolder = "technology/library";
constexpr double kLargest = 1e12;

std::string shortNumber(double value) {
  char buffer[32];
  snprintf(buffer, sizeof buffer, "%.4g", value);
  return buffer;
}

/// What a row may take from its file.
struct Defaults {
  LibraryRow row;
  double spread = 0;
};

/// Keys that may stand at the file's top and in a row.
void readShared(DataMap &map, LibraryRow &row, double &spread, DataMap::Need need) {
  static const StringRef kScopes[] = {"component", "macro", "chip", "board", "system"};
  static const StringRef kProvenances[] = {"read", "confirmed", "recalled", "estimated"};
  size_t choice = 0;
  map.number("node_nm", row.nodeNm, 0.1, 1000, DataMap::Optional);
  map.number("voltage_v", row.voltageV, 0.1, 5, need);
  map.text("unit", row.unit, need);
  map.number("spread", spread, 1, 100, need);
  if (map.choice("scope", kScopes, choice, need))
    row.scope = kScopes[choice].str();
  if (map.choice("provenance", kProvenances, choice, need))
    row.provenance = kProvenances[choice].str();
}

LibraryRow readRow(DataFile &file, const DataNode &node, const Defaults &defaults) {
  LibraryRow row = defaults.row;
  double spread = defaults.spread;
  DataMap map(file, &node, "row");
  map.text("class", row.className);
  for (size_t i = 0; i < kSizes; ++i)
    map.number(sizeName(static_cast<Size>(i)), row.sizes.values[i], 1e-6, kLargest,
               DataMap::Optional);
  map.number("value", row.value, 1e-12, kLargest);
  readShared(map, row, spread, DataMap::Optional);
  row.low = row.value / spread;
  row.high = row.value * spread;
  map.number("low", row.low, 0, kLargest, DataMap::Optional);
  map.number("high", row.high, 0, kLargest, DataMap::Optional);
  map.text("note", row.note, DataMap::Optional);
  map.boolean("check", row.check, DataMap::Optional);
  map.finish();
  if (row.nodeNm <= 0)
    file.error(node, "neither the row nor the file has a node_nm");
  if (row.low <= 0 || row.low > row.value || row.value > row.high)
    file.error(node, "0 < low <= value <= high does not hold");
  return row;
}

} // namespace

const char *sizeName(Size size) {
  static const char *const kNames[] = {"bits", "significand", "kib", "width_bits", "cycle_ns"};
  return kNames[static_cast<size_t>(size)];
}

std::string Sizes::text() const {
  static const char *const kUnits[] = {" bits", "-bit significand", " KiB", " bits wide",
                                       " ns cycle"};
  std::string text;
  for (size_t i = 0; i < kSizes; ++i)
    if (values[i] > 0)
      text += (text.empty() ? "" : ", ") + shortNumber(values[i]) + kUnits[i];
  return text;
}

std::string LibraryRow::name() const {
  std::string size = sizes.text();
  return table + " " + className + (size.empty() ? "" : " " + size) + ", " + shortNumber(nodeNm) +
         " nm, " + shortNumber(voltageV) + " V";
}

Expected<std::vector<LibraryRow>> parseLibraryTable(StringRef text, StringRef fileName) {
  DataFile file(fileName);
  DataNode root = file.parse(text);
  if (file.failed())
    return file.takeError();
  Defaults defaults;
  defaults.row.table = sys::path::stem(fileName).str();
  DataMap map(file, &root, "");
  map.text("source", defaults.row.source);
  map.text("series", defaults.row.series);
  readShared(map, defaults.row, defaults.spread, DataMap::Required);
  std::vector<LibraryRow> rows;
  if (const DataNode *list = map.find("rows")) {
    if (list->kind != DataNode::Kind::List || list->children.empty())
      file.error(*list, "rows must be a list of rows");
    else
      for (const DataNode &node : list->children)
        rows.push_back(readRow(file, node, defaults));
  }
  map.finish();
  if (file.failed())
    return file.takeError();
  return rows;
}

Expected<const std::vector<LibraryRow> *> energyLibrary() {
  // By folder, since tests change it.
  static std::mutex mutex;
  static std::map<std::string, std::vector<LibraryRow>> libraries;
  std::lock_guard<std::mutex> lock(mutex);
  SmallString<256> folder(modelsFolder());
  sys::path::append(folder, kFolder);
  auto found = libraries.try_emplace(folder.str().str());
  auto entry = found.first;
  if (!found.second)
    return &entry->second;
  auto fail = [&](Error error) -> Expected<const std::vector<LibraryRow> *> {
    libraries.erase(entry);
    return std::move(error);
  };
  for (const std::string &name : listDataFiles(kFolder)) {
    SmallString<256> path(folder);
    sys::path::append(path, name + ".yaml");
    Expected<std::string> text = readDataText(path.str().str());
    if (!text)
      return fail(text.takeError());
    Expected<std::vector<LibraryRow>> rows = parseLibraryTable(*text, path);
    if (!rows)
      return fail(rows.takeError());
    entry->second.insert(entry->second.end(), rows->begin(), rows->end());
  }
  if (entry->second.empty())
    return fail(createStringError(folder + ": no tables of energies"));
  return &entry->second;
}

} // namespace npucc
