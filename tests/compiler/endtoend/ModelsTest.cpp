//===- ModelsTest.cpp - Whole networks against onnxruntime's outputs ------===//
//
// The networks and their expected outputs are not part of the repository: without
// them (see sharedFolder()) these tests pass with a message.
//
//===----------------------------------------------------------------------===//
#include "tests/compiler/endtoend/NpuccRun.h"

#include "runtime/onnx/Loader.h"
#include "runtime/onnx/Writer.h"
#include "runtime/reference/Reference.h"

#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

#include <cmath>
#include <cstdio>

using namespace npucc;
using namespace npucc::test;

namespace {

/// Every element may differ by 1e-4 of the largest in its last-axis channel, and by 1e-7 of the
/// largest of all where the channel is nearly zero.
void checkClose(const Tensor &result, const Tensor &expected) {
  int64_t channels = expected.rank() ? expected.shape().back() : 1;
  std::vector<double> largest(channels), worst(channels);
  for (int64_t i = 0; i < expected.size(); ++i) {
    double want = expected.asDouble(i), error = std::abs(result.asDouble(i) - want);
    largest[i % channels] = std::max(largest[i % channels], std::abs(want));
    if (!(error <= worst[i % channels])) // NaN too
      worst[i % channels] = error;
  }
  double all = *std::max_element(largest.begin(), largest.end());
  for (int64_t c = 0; c < channels; ++c)
    if (!(worst[c] <= 1e-4 * (largest[c] + 1e-3 * all)))
      FAIL("channel " << c << " differs by " << worst[c] << ", its largest number is " << largest[c]
                      << ", that of the tensor " << all);
}

/// 99.9 % of the elements differ by at most one step of the 8-bit grid.
void checkSteps(const Tensor &result, const Tensor &expected, double step) {
  int64_t far = 0;
  for (int64_t i = 0; i < expected.size(); ++i)
    far += !(std::abs(result.asDouble(i) - expected.asDouble(i)) <= 1.001 * step);
  CHECK(far <= expected.size() / 1000);
}

/// The folder of a shared network; empty, with a message, where there is none.
std::string networkFolder(const std::string &name) {
  std::string folder = sharedFolder();
  if (folder.empty())
    return {};
  folder += "/models/" + name;
  if (llvm::sys::fs::exists(folder))
    return folder;
  WARN("no " << folder << ": skipped");
  return {};
}

/// A folder test_data_K.
struct DataSet {
  std::vector<std::string> options; ///< --input
  std::vector<std::pair<std::string, Tensor>> outputs;
};

DataSet readDataSet(const std::string &folder) {
  DataSet result;
  auto file = llvm::MemoryBuffer::getFile(folder + "/meta.json");
  REQUIRE(file);
  llvm::json::Value meta = check(llvm::json::parse((*file)->getBuffer()));
  auto forEach = [&](llvm::StringRef key, auto body) {
    for (const llvm::json::Value &value : *meta.getAsObject()->getArray(key)) {
      const llvm::json::Object &object = *value.getAsObject();
      body(object.getString("name")->str(), folder + "/" + object.getString("file")->str());
    }
  };
  forEach("inputs", [&](const std::string &name, const std::string &path) {
    result.options.insert(result.options.end(), {"--input", name + "=" + path});
  });
  forEach("outputs", [&](const std::string &name, const std::string &path) {
    result.outputs.emplace_back(name, check(readNpy(path)));
  });
  return result;
}

/// A network on three machines of different kinds and sizes. `step`: of the outputs' 8-bit grid,
/// 0 for floats.
void checkModel(const std::string &name, double step = 0) {
  std::string folder = networkFolder(name);
  if (folder.empty())
    return;
  std::string model = folder + "/model.onnx";
  DataSet data = readDataSet(folder + "/test_data_0");
  double weights = static_cast<double>(weightElements(model)) * (step > 0 ? 1 : 4);
  for (const char *machine : {"edge", "server", "nvdla-small"}) {
    INFO(name << " on " << machine);
    std::vector<std::string> all = {"--no-host", "--baseline", "none", "--npu", machine};
    llvm::append_range(all, data.options);
    NpuccRun run(model, all);
    for (const auto &[outputName, expected] : data.outputs) {
      INFO("output " << outputName);
      Tensor result = run.output(outputName);
      REQUIRE(result.type() == expected.type());
      REQUIRE(shapeOf(result) == shapeOf(expected));
      if (step > 0)
        checkSteps(result, expected, step);
      else
        checkClose(result, expected);
    }
    checkReport(run, machine, weights);

    // The program alone takes the same time as with data.
    all.insert(all.end(), {"--mode", "timing"});
    NpuccRun timing(model, all);
    CHECK(timing.number("cycles") == run.number("cycles"));
    CHECK(timing.number("energy_j.total") == Approx(run.number("energy_j.total")));
  }
}

/// What the floats of a network may differ by, relative to an output's largest magnitude.
double toleranceOf(llvm::StringRef network) {
  // Each result is rounded to fp16; ONNX Runtime keeps fp32 between neighbours.
  if (network == "squeezenet_fp16")
    return 0.016;
  // A rounding that tips over is amplified by the layers behind it: see "layer by layer".
  if (network == "yolox_nano_qdq")
    return 0.6;
  return 1e-3;
}

} // namespace

TEST_CASE("end to end: resnet8", "[endtoend]") { checkModel("resnet8_fp32"); }
TEST_CASE("end to end: resnet8 in int8 (QDQ)", "[endtoend]") {
  checkModel("resnet8_qdq", 1. / 256);
}
TEST_CASE("end to end: keyword spotting in int8 (QLinear)", "[endtoend]") {
  checkModel("kws_dscnn_qlinear", 1. / 256);
}
TEST_CASE("end to end: squeezenet", "[endtoend]") { checkModel("squeezenet_fp32"); }
TEST_CASE("end to end: super resolution", "[endtoend]") { checkModel("super_resolution"); }
TEST_CASE("end to end: face detection", "[endtoend]") { checkModel("ultraface_rfb320"); }
TEST_CASE("end to end: yolox", "[endtoend]") { checkModel("yolox_nano"); }
// Caches that are graph inputs, updated in place by ScatterND.
TEST_CASE("end to end: speech enhancement", "[endtoend]") { checkModel("gtcrn_simple"); }

TEST_CASE("end to end: every network and data set", "[endtoend][models]") {
  std::string shared = sharedFolder();
  if (shared.empty())
    return;
  int networks = 0;
  std::error_code code;
  for (llvm::sys::fs::directory_iterator it(shared + "/models", code), end; it != end && !code;
       it.increment(code)) {
    std::string folder = it->path(), model = folder + "/model.onnx";
    if (!llvm::sys::fs::exists(model))
      continue;
    std::string network = llvm::sys::path::filename(folder).str();
    ++networks;
    std::string set = folder + "/test_data_0";
    for (int k = 1; llvm::sys::fs::is_directory(set); ++k) {
      INFO(set);
      DataSet data = readDataSet(set);
      data.options.insert(data.options.end(), {"--baseline", "none"});
      NpuccRun run(model, data.options);
      for (const auto &[outputName, expected] : data.outputs) {
        INFO("output " << outputName);
        Tensor result = run.output(outputName);
        REQUIRE(result.type() == expected.type());
        REQUIRE(shapeOf(result) == shapeOf(expected));
        double largest = 0, worst = 0;
        for (int64_t i = 0; i < expected.size(); ++i) {
          double want = expected.asDouble(i), error = std::abs(result.asDouble(i) - want);
          largest = std::max(largest, std::abs(want));
          worst = std::isnan(error) ? INFINITY : std::max(worst, error);
        }
        CHECK(worst <= (isFloat(expected.type()) ? toleranceOf(network) * largest : 0));
      }
      set = folder + "/test_data_" + std::to_string(k);
    }
  }
  CHECK(networks > 0);
}

/// Makes every quantised activation an output, and an input of its own where it is used: each piece
/// between roundings stands by itself. Returns the values that were cut.
static std::vector<ValueId> cutAtQuantizeLinear(Graph &graph) {
  std::vector<ValueId> cuts;
  for (const Node &node : graph.nodes)
    if (node.opType == "QuantizeLinear")
      cuts.push_back(node.outputs[0]);
  for (auto [index, value] : llvm::enumerate(cuts)) {
    auto again = static_cast<ValueId>(graph.values.size());
    graph.values.push_back(graph.values[value]);
    graph.values[value].name = "made_" + std::to_string(index);
    graph.values[again].name = "used_" + std::to_string(index);
    for (Node &user : graph.nodes)
      std::replace(user.inputs.begin(), user.inputs.end(), value, again);
    graph.inputs.push_back(again);
    graph.outputs.push_back(value);
  }
  return cuts;
}

// The network amplifies a rounding that tips over, so that its outputs say little about the NPU.
// Here every piece between two roundings gets the reference's integers.
TEST_CASE("end to end: yolox in int8 (QDQ), layer by layer", "[endtoend][models]") {
  std::string folder = networkFolder("yolox_nano_qdq");
  if (folder.empty())
    return;
  Model model = check(loadModel(folder + "/model.onnx"));
  check(prepare(model, {}));
  Graph whole = model.graph;
  std::vector<ValueId> cuts = cutAtQuantizeLinear(model.graph);
  REQUIRE(cuts.size() > 100);
  std::map<ValueId, Tensor> seen;
  std::string image = folder + "/test_data_0/input_0.npy";
  check(evaluate(whole, {check(readNpy(image))},
                 [&](ValueId id, const Tensor &tensor) { seen[id] = tensor; }));

  TemporaryFolder files;
  std::string pieces = files.file("pieces.onnx");
  check(writeModel(model, pieces));
  std::vector<std::string> options = {"--baseline", "none", "--no-host"};
  auto addInput = [&](const std::string &name, const std::string &path) {
    options.insert(options.end(), {"--input", name + "=" + path});
  };
  addInput(whole.values[whole.inputs[0]].name, image);
  for (size_t i = 0; i < cuts.size(); ++i) {
    std::string name = "used_" + std::to_string(i);
    check(writeNpy(files.file(name + ".npy"), seen.at(cuts[i])));
    addInput(name, files.file(name + ".npy"));
  }
  NpuccRun run(pieces, options);
  int64_t elements = 0, byOne = 0, byMore = 0;
  for (size_t i = 0; i < cuts.size(); ++i) {
    const Tensor &expected = seen.at(cuts[i]);
    Tensor result = run.output("made_" + std::to_string(i));
    REQUIRE(result.type() == expected.type());
    REQUIRE(shapeOf(result) == shapeOf(expected));
    elements += expected.size();
    for (int64_t e = 0; e < expected.size(); ++e) {
      int64_t steps = std::abs(result.asInt(e) - expected.asInt(e));
      byOne += steps == 1;
      byMore += steps > 1;
    }
  }
  if (std::getenv("NPUCC_TEST_VERBOSE"))
    std::printf("%zu pieces, %lld integers: %lld differ by one step, %lld by more\n", cuts.size(),
                static_cast<long long>(elements), static_cast<long long>(byOne),
                static_cast<long long>(byMore));
  CHECK(byMore == 0);
  CHECK(byOne * 10000 <= elements);
}
