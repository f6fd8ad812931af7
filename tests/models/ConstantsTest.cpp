//===- ConstantsTest.cpp - What nobody confirmed has a wide interval ----------===//
//
// A constant that was recalled and not found again, or that is judged, says so (confidence: low,
// provenance: recalled) and leaves room: a factor of 1.5 either way at least. A share of a whole
// may leave that room on the rest instead (0.88 of board power, 0.12 lost).
//
//===----------------------------------------------------------------------===//

#include "models/energy/Library.h"
#include "models/machine/DataFile.h"
#include "models/machine/Machine.h"

#include <catch2/catch.hpp>

using namespace npucc;

namespace {

constexpr double kRoom = 1.5 - 1e-6;

bool wide(double value, double low, double high) {
  return value >= kRoom * low && high >= kRoom * value;
}

const DataNode *find(const DataNode &map, llvm::StringRef key) {
  for (const DataNode &child : map.children)
    if (child.key == key)
      return &child;
  return nullptr;
}

double number(const DataNode &map, llvm::StringRef key) {
  double value = 0;
  REQUIRE_FALSE(llvm::StringRef(find(map, key)->scalar).getAsDouble(value));
  return value;
}

/// Every {value, low, high, ...} below a node.
void checkConstants(const DataNode &node, size_t &seen, size_t &unsure) {
  for (const DataNode &child : node.children)
    checkConstants(child, seen, unsure);
  if (!find(node, "value") || !find(node, "low") || !find(node, "high"))
    return;
  ++seen;
  const DataNode *confidence = find(node, "confidence"), *source = find(node, "source");
  INFO("line " << node.line << ": " << (source ? source->scalar : std::string()));
  REQUIRE(confidence);
  REQUIRE(source);
  bool recalled = llvm::StringRef(source->scalar).contains_insensitive("recalled");
  if (recalled)
    CHECK(confidence->scalar == "low");
  if (confidence->scalar != "low")
    return;
  ++unsure;
  double value = number(node, "value"), low = number(node, "low"), high = number(node, "high");
  bool share = find(node, "unit")->scalar == "1" && high < 1;
  CHECK((value == 0 || wide(value, low, high) || (share && wide(1 - value, 1 - high, 1 - low))));
}

} // namespace

TEST_CASE("constants of low confidence have wide intervals", "[constants]") {
  size_t seen = 0, unsure = 0;
  for (const char *kind : {"dram", "gpu", "host", "technology"})
    for (const std::string &name : listDataFiles(kind)) {
      INFO(kind << "/" << name);
      std::string path = modelsFolder() + "/" + kind + "/" + name + ".yaml";
      auto text = readDataText(path);
      REQUIRE(bool(text));
      DataFile file(path);
      checkConstants(file.parse(*text), seen, unsure);
      REQUIRE_FALSE(file.failed());
    }
  CHECK(seen > 150);
  CHECK(unsure > 100);
}

TEST_CASE("recalled rows of the energy library have wide intervals", "[constants]") {
  auto rows = energyLibrary();
  REQUIRE(bool(rows));
  size_t recalled = 0;
  for (const LibraryRow &row : **rows) {
    if (row.provenance != "recalled" && row.provenance != "estimated")
      continue;
    INFO(row.name());
    CHECK(wide(row.value, row.low, row.high));
    ++recalled;
  }
  CHECK(recalled > 20);
}
