//===- ResultsTest.cpp - Operators of which not every result is used ----------===//

#include "tests/compiler/endtoend/NpuccRun.h"
#include "tests/runtime/onnx/ModelBuilder.h"

using namespace npucc;
using namespace npucc::test;

/// Weights between -1 and 1.
static std::vector<float> weights(size_t count) {
  std::vector<float> result;
  for (size_t i = 0; i < count; ++i)
    result.push_back(static_cast<float>(i * 37 % 64) / 32.f - 1);
  return result;
}

/// npucc and the reference agree on the outputs.
static void verify(ModelBuilder &m) {
  writeFile(m.path(), m.model.SerializeAsString());
  NpuccRun(m.path(), {"--verify", "--baseline", "none"});
}

TEST_CASE("results that nobody uses are left out", "[endtoend]") {
  SECTION("LayerNormalization: the statistics only") {
    ModelBuilder m;
    m.input("x", {2, 4});
    m.floats("scale", {4}, weights(4));
    m.node("LayerNormalization", {"x", "scale"}, {"", "mean", "deviation"});
    m.output("mean");
    verify(m);
  }
  SECTION("DynamicQuantizeLinear: no zero point") {
    ModelBuilder m;
    m.input("x", {2, 4});
    m.node("DynamicQuantizeLinear", {"x"}, {"y", "scale", "zero"});
    m.output("y");
    m.output("scale");
    verify(m);
  }
  SECTION("GRU: the last state only, and none to begin with") {
    ModelBuilder m;
    m.input("x", {5, 1, 3});
    m.floats("W", {1, 12, 3}, weights(36));
    m.floats("R", {1, 12, 4}, weights(48));
    m.node("GRU", {"x", "W", "R"}, {"", "last"}).i("hidden_size", 4);
    m.output("last");
    verify(m);
  }
}

TEST_CASE("the best of one element", "[endtoend]") {
  ModelBuilder m;
  m.input("x", {4, 1});
  m.node("ArgMax", {"x"}, {"y"}).i("axis", 1);
  m.output("y");
  verify(m);
}
