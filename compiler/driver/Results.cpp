//===- Results.cpp - Outputs, verification and reports of a run ---------------===//

#include "compiler/driver/Results.h"
#include "compiler/driver/Driver.h"
#include "runtime/onnx/Errors.h"
#include "runtime/reference/Reference.h"
#include "simulator/report/Files.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/ToolOutputFile.h"

#include <cmath>
#include <cstdlib>

using llvm::Expected;
using llvm::StringRef;

namespace npucc {

//===----------------------------------------------------------------------===//
// Verification
//===----------------------------------------------------------------------===//

/// Largest error, relative to the largest magnitude of an output, that rounding explains: some
/// tens of roundings to the narrowest format on the way.
static double toleranceOf(StringRef precision) {
  if (precision == "fp16")
    return 2e-2;
  if (precision == "bf16")
    return 5e-2;
  if (precision.starts_with("fp8"))
    return 0.25;
  // int8: the products are exact, but a tie may round the other way after a float operator.
  if (precision == "int8")
    return 5e-2;
  return 1e-3;
}

/// Of integer and boolean outputs this share may differ where a float decision came before.
constexpr double kDifferingShare = 0.02;

struct Difference {
  double maxAbs = 0, maxMagnitude = 0;
  int64_t differing = 0;
};

static Difference compare(const Tensor &actual, const Tensor &expected) {
  Difference result;
  for (int64_t i = 0, e = expected.size(); i < e; ++i) {
    double a = actual.asDouble(i), b = expected.asDouble(i);
    if (std::isfinite(b))
      result.maxMagnitude = std::max(result.maxMagnitude, std::abs(b));
    if (a == b || (std::isnan(a) && std::isnan(b)))
      continue;
    ++result.differing;
    double error = std::abs(a - b);
    result.maxAbs = std::max(result.maxAbs, std::isnan(error) ? HUGE_VAL : error);
  }
  return result;
}

Expected<VerifyResult> verifyOutputs(const PreparedModel &prepared, const NamedTensors &outputs) {
  const Graph &graph = prepared.model.graph;
  std::vector<Tensor> inputs;
  for (ValueId id : graph.inputs)
    inputs.push_back(prepared.inputs.at(graph.values[id].name));
  Expected<std::vector<Tensor>> expected = evaluate(graph, inputs);
  if (!expected)
    return expected.takeError();

  VerifyResult result;
  result.passed = true;
  for (auto [id, reference] : llvm::zip(graph.outputs, *expected)) {
    const std::string &name = graph.values[id].name;
    auto actual = outputs.find(name);
    if (actual == outputs.end())
      return makeError("output {0} is missing", quoted(name));
    if (actual->second.shape() != reference.shape()) {
      // A shape that depends on data can tip over.
      llvm::errs() << "npucc: output '" << name << "' has another shape than the reference\n";
      result.passed = false;
      continue;
    }
    Difference difference = compare(actual->second, reference);
    double relative = difference.maxAbs == 0         ? 0
                      : difference.maxMagnitude == 0 ? HUGE_VAL
                                                     : difference.maxAbs / difference.maxMagnitude;
    bool isReal = isFloat(reference.type());
    bool passed = isReal ? relative <= toleranceOf(prepared.precision)
                         : static_cast<double>(difference.differing) <=
                               kDifferingShare * static_cast<double>(reference.size());
    if (!passed)
      llvm::errs() << "npucc: output '" << name << "' differs from the reference in "
                   << difference.differing << " of " << reference.size() << " elements, by up to "
                   << difference.maxAbs << '\n';
    result.maxAbsError = std::max(result.maxAbsError, difference.maxAbs);
    result.maxRelError = std::max(result.maxRelError, relative);
    result.passed &= passed;
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Files
//===----------------------------------------------------------------------===//

llvm::Error writeOutputs(const std::string &directory, const NamedTensors &outputs) {
  if (std::error_code error = llvm::sys::fs::create_directories(directory))
    return makeError("cannot make folder {0}: {1}", quoted(directory), error.message());
  for (const auto &[name, tensor] : outputs) {
    llvm::SmallString<256> path(directory);
    llvm::sys::path::append(path, outputFileName(name));
    if (llvm::Error error = writeNpy(path.str().str(), tensor))
      return error;
  }
  return llvm::Error::success();
}

llvm::Error report(const Options &options, const PreparedModel &prepared,
                   const ReportInputs &inputs) {
  RunReport result = buildReport(inputs);
  auto requests =
      parseBaselines(options.baselines == "default" ? defaultBaselines() : options.baselines);
  if (!requests)
    return requests.takeError();
  auto rows = compareWithGpus(*requests, prepared.network, result.figures());
  if (!rows)
    return rows.takeError();
  result.baselines = std::move(*rows);

  if (!options.quiet) {
    TextOptions text;
    text.color = llvm::sys::Process::StandardOutHasColors() && !std::getenv("NO_COLOR");
    text.verbose = options.verbose;
    writeText(llvm::outs(), result, text);
  }
  if (options.explainEnergy)
    if (llvm::Error error = explainEnergy(llvm::outs(), result, *options.explainEnergy))
      return error;
  if (llvm::Error error =
          writeFile(options.reportJson, [&](llvm::raw_ostream &os) { writeJson(os, result); }))
    return error;
  if (llvm::Error error =
          writeFile(options.reportHtml, [&](llvm::raw_ostream &os) { writeHtml(os, result); }))
    return error;
  return writeFile(options.trace, [&](llvm::raw_ostream &os) {
    writeTrace(os, inputs.program, inputs.machine, inputs.result);
  });
}

ExitStatus listBaselinesTo(llvm::raw_ostream &out) {
  for (const std::string &name : listGpus())
    out << name << '\n';
  return kDone;
}

} // namespace npucc
