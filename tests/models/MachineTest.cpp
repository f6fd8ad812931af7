//===- MachineTest.cpp - The machine file and the tables behind it --------===//

#include "models/machine/Machine.h"
#include "models/machine/DataFile.h"

#include <catch2/catch.hpp>

using namespace npucc;

namespace {

Machine bundled(const char *name) {
  auto machine = loadMachine(name);
  if (!machine)
    FAIL(llvm::toString(machine.takeError()));
  return *machine;
}

/// The message for `edge` with one piece of its text replaced.
std::string errorFor(const std::string &from, const std::string &to) {
  std::string text = bundled("edge").text;
  size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  text.replace(at, from.size(), to);
  auto machine = parseMachine(text, "edge.yaml");
  REQUIRE_FALSE(bool(machine));
  return llvm::toString(machine.takeError());
}

} // namespace

TEST_CASE("every bundled machine loads and survives a dump", "[machine]") {
  REQUIRE(listMachines().size() >= 4);
  for (const std::string &name : listMachines()) {
    Machine machine = bundled(name.c_str());
    CHECK(machine.name == name);
    CHECK(machine.supports(ElementType::Float32));
    CHECK(machine.supports(ElementType::Uint8) == machine.supports(ElementType::Int8));
    std::string dump = dumpMachine(machine);
    auto again = parseMachine(dump, "dump");
    if (!again)
      FAIL(llvm::toString(again.takeError()));
    CHECK(dumpMachine(*again) == dump);
    CHECK(again->text == dump);
  }
}

TEST_CASE("the default machine has the figures that its text promises", "[machine]") {
  Machine edge = bundled("edge");
  CHECK(edge.peakMacsPerSecond(ElementType::Int8) == 4096e9);
  CHECK(edge.peakMacsPerSecond(ElementType::BFloat16) == 2048e9);
  CHECK(edge.peakMacsPerSecond(ElementType::Float32) == 512e9);
  CHECK(edge.peakMacsPerSecond(ElementType::Float8E5M2) == 4096e9);
  CHECK(edge.peakMacsPerSecond(ElementType::Float64) == 0);
  CHECK(edge.dramBytesPerSecond() == Approx(51.2e9));
  CHECK(edge.matrix.rowDims == std::vector<LoopRole>{LoopRole::InChannel, LoopRole::Window});
  CHECK(edge.vector.cost(BodyOp::Exp) == 4);
  CHECK(edge.vector.cost(BodyOp::Add) == 1);
  CHECK(bundled("server").dramBytesPerSecond() == Approx(819.2e9));
  CHECK(bundled("systolic-128").dramBytesPerSecond() == Approx(614.4e9));
  CHECK(bundled("nvdla-small").matrix.rowDims == std::vector<LoopRole>{LoopRole::InChannel});
}

TEST_CASE("what is wrong is named with line and column", "[machine]") {
  CHECK(errorFor("    rows: 64", "    rowz: 64") ==
        "edge.yaml:14:5: key 'core.matrix.rows' is missing\n"
        "edge.yaml:15:5: unknown key 'core.matrix.rowz'; did you mean 'rows'?");
  CHECK(errorFor("cols: 64", "cols: many") ==
        "edge.yaml:16:11: core.matrix.cols must be a number, not 'many'");
  CHECK(errorFor("banks: 16", "banks: 1.5") ==
        "edge.yaml:28:12: core.scratchpad.banks is 1.5; it must be a whole number");
  CHECK(errorFor("kind: systolic", "kind: quantum") ==
        "edge.yaml:14:11: core.matrix.kind is 'quantum'; it must be one of systolic, "
        "dot_product, row_stationary, in_memory");
  CHECK_THAT(errorFor("{int8: 1,", "{int9: 1,"), Catch::Contains("unknown precision 'int9'"));
  CHECK_THAT(errorFor("width_bits: 64", "width_bits: 48"),
             Catch::Contains("a multiple of 64 bits wide"));
  CHECK_THAT(errorFor("LPDDR5-6400", "LPDDR5-6401"), Catch::Contains("did you mean"));
  CHECK_THAT(errorFor("technology: 7nm", "technology: ../npu/edge"),
             Catch::Contains("models/technology has no"));
  CHECK_THAT(errorFor("accumulator_bytes: 262144", "accumulator_bytes: 128"),
             Catch::Contains("64 columns takes 256"));
  CHECK_THAT(errorFor("name: edge", "name: edge\nname: edge"), Catch::Contains("stands twice"));
  CHECK_THAT(errorFor("count: 1", "count: &a 1\n  extra: *a"), Catch::Contains("aliases"));
}

TEST_CASE("all mistakes of a file come out together", "[machine]") {
  auto machine = parseMachine("name: x\nclock_hz: fast\nvoltage_v: -1\n", "x.yaml");
  REQUIRE_FALSE(bool(machine));
  std::string message = llvm::toString(machine.takeError());
  CHECK_THAT(message, Catch::Contains("x.yaml:2:11: clock_hz must be a number"));
  CHECK_THAT(message, Catch::Contains("x.yaml:3:12: voltage_v is -1"));
  CHECK_THAT(message, Catch::Contains("'core' is missing"));
}

TEST_CASE("what is no machine file is an error, whatever it is", "[machine]") {
  for (const char *text : {"", "[1, 2", "3", "- a\n- b\n", "a: b: c", "\x01\x02\xff", "{{{{{{",
                           "? [a]\n: b\n", "%YAML 9.9\n---\n", "a: |\n  text\n---\nb: 1\n"}) {
    auto machine = parseMachine(text, "bad.yaml");
    REQUIRE_FALSE(bool(machine));
    CHECK_THAT(llvm::toString(machine.takeError()), Catch::StartsWith("bad.yaml:"));
  }
  std::string deep(2000, '[');
  auto machine = parseMachine(deep, "deep.yaml");
  REQUIRE_FALSE(bool(machine));
  llvm::consumeError(machine.takeError());
}

TEST_CASE("a missing machine is named with what there is", "[machine]") {
  auto unknown = loadMachine("egde");
  REQUIRE_FALSE(bool(unknown));
  CHECK_THAT(llvm::toString(unknown.takeError()), Catch::Contains("did you mean 'edge'"));
  auto file = loadMachine("no/such.yaml");
  REQUIRE_FALSE(bool(file));
  CHECK_THAT(llvm::toString(file.takeError()), Catch::StartsWith("no/such.yaml:"));
}

TEST_CASE("wide channels are channels in lockstep", "[machine]") {
  std::string text = bundled("edge").text;
  size_t at = text.find("channels: 4");
  REQUIRE(at != std::string::npos);
  auto machine = parseMachine(text.replace(at, 11, "channels: 2"), "edge.yaml");
  REQUIRE(bool(machine));
  Machine edge = bundled("edge");
  CHECK(machine->dram.channelWidthBits == 32);
  CHECK(machine->dram.pageBytes == 2 * edge.dram.pageBytes);
  CHECK(machine->dram.energy.activatePj.value == 2 * edge.dram.energy.activatePj.value);
  CHECK(machine->dramBytesPerSecond() == edge.dramBytesPerSecond());
}

TEST_CASE("every DRAM and technology table loads; every constant has a source", "[tables]") {
  auto check = [](const std::string &where, const Constant &constant) {
    INFO(where);
    CHECK(constant.low <= constant.value);
    CHECK(constant.value <= constant.high);
    CHECK(constant.low < constant.high);
    CHECK(constant.source.size() > 10);
    // What is only recalled must not look certain.
    if (constant.source.find("recalled") == 0)
      CHECK(constant.confidence == "low");
  };
  for (const std::string &name : listDataFiles("dram")) {
    auto dram = loadDram(name);
    if (!dram)
      FAIL(llvm::toString(dram.takeError()));
    CHECK(dram->name == name);
    CHECK(dram->tRcNs >= dram->tRasNs);
    CHECK(dram->tRfcNs < dram->tRefiNs);
    // A burst occupies the bus for as long as the next one must wait.
    double burst = double(dram->burstLength) / dram->megaTransfersPerSecond * 1e3;
    CHECK(dram->tCcdShortNs == Approx(burst).epsilon(0.01));
    check(name, dram->energy.readPjPerBit);
    check(name, dram->energy.writePjPerBit);
    check(name, dram->energy.activatePj);
    check(name, dram->energy.refreshPj);
    check(name, dram->energy.backgroundWPerChannel);
    CHECK(dram->tRpAllNs >= dram->tRpNs);
    CHECK(dram->tRfcBankNs < dram->tRfcNs);
  }
  for (const std::string &name : listDataFiles("technology")) {
    auto technology = loadTechnology(name);
    if (!technology)
      FAIL(llvm::toString(technology.takeError()));
    CHECK(technology->name == name);
    CHECK(technology->nodeNm > 0);
    for (const auto &[key, constant] : technology->energyPj)
      check(name + " " + key, constant);
  }
}

TEST_CASE("per-bank refresh needs a standard that has it", "[machine]") {
  std::string text = bundled("edge").text;
  size_t at = text.find("channels: 4");
  REQUIRE(at != std::string::npos);
  text.insert(at, "refresh: per_bank\n  ");
  auto machine = parseMachine(text, "edge.yaml");
  if (!machine)
    FAIL(llvm::toString(machine.takeError()));
  CHECK(machine->dramRefreshPerBank);
  auto again = parseMachine(dumpMachine(*machine), "dump.yaml");
  REQUIRE(bool(again));
  CHECK(again->dramRefreshPerBank);
  text = bundled("nvdla-small").text; // DDR4
  at = text.find("channels: 1", text.find("dram:"));
  REQUIRE(at != std::string::npos);
  auto other = parseMachine(text.insert(at, "refresh: per_bank\n  "), "nvdla-small.yaml");
  REQUIRE(!other);
  CHECK(llvm::toString(other.takeError()).find("tRFC_pb") != std::string::npos);
}
