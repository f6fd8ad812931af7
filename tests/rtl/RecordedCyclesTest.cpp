//===- RecordedCyclesTest.cpp - Counts that npu-validate compares -------------===//
//
// models/validation/rtl-matrix-engine.yaml has cycle counts of the array in Verilog, so that the
// cost model can be compared without Verilator. Here they are measured again: what the file says
// must be what the array takes today.
//
//===----------------------------------------------------------------------===//

#include "models/machine/Machine.h"
#include "simulator/validate/MatrixEngine.h"
#include "tests/rtl/EngineModel.h"

#include "Vengine_16x16_0.h"
#include "Vengine_16x16_1.h"
#include "Vengine_8x16_0.h"
#include "Vengine_8x16_1.h"
#include "Vengine_8x8_0.h"
#include "Vengine_8x8_1.h"

#include <catch2/catch.hpp>

using namespace npucc;
using namespace npucc::test;

namespace {

/// Time depends on no data: memories hold zeros, all commands use the same places.
template <class V, int Rows, int Cols> int64_t measure(const MatrixSeries &series) {
  std::vector<EngineCommand> commands;
  int64_t sums = 0, outBytes = 0;
  for (const MatrixSeries::Command &c : series.commands) {
    commands.push_back({c.m, c.n, c.k, 0, c.k, 0, 0, 0, c.n, c.clears, c.emits});
    sums = std::max(sums, (c.n + Cols - 1) / Cols * c.m);
    outBytes = std::max(outBytes, c.m * c.n);
  }
  EngineRun run = EngineModel<V, Rows, Cols>().run(commands, {}, {}, series.loadBytes,
                                                   series.outElements, outBytes, sums, 1 << 20);
  REQUIRE(run.ends.size() == commands.size());
  return run.ends.back();
}

int64_t measure(const MatrixSeries &series) {
  if (series.rows == 8 && series.cols == 8)
    return series.shadow ? measure<Vengine_8x8_1, 8, 8>(series)
                         : measure<Vengine_8x8_0, 8, 8>(series);
  if (series.rows == 16 && series.cols == 16)
    return series.shadow ? measure<Vengine_16x16_1, 16, 16>(series)
                         : measure<Vengine_16x16_0, 16, 16>(series);
  REQUIRE(series.rows == 8);
  REQUIRE(series.cols == 16);
  return series.shadow ? measure<Vengine_8x16_1, 8, 16>(series)
                       : measure<Vengine_8x16_0, 8, 16>(series);
}

} // namespace

TEST_CASE("rtl: recorded cycle counts are what the array takes today", "[rtl]") {
  auto groups = readTargets(modelsFolder() + "/validation/rtl-matrix-engine.yaml");
  if (!groups)
    FAIL(llvm::toString(groups.takeError()));
  REQUIRE(groups->size() == 1);
  for (const Target &target : groups->front().targets) {
    DataFile file(groups->front().file);
    Fields fields(file, target.fields);
    auto series = readMatrixSeries(fields);
    if (!series)
      FAIL(llvm::toString(series.takeError()));
    INFO(target.id);
    CHECK(static_cast<double>(measure(*series)) == target.published);
  }
}
