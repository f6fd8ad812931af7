//===- Options.h - What the user asks of npucc --------------------*- C++ -*-===//
#pragma once

#include "runtime/onnx/Loader.h"
#include "runtime/tensor/Tensor.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace npucc {

/// The exit statuses that users and scripts rely on.
enum ExitStatus : int {
  kDone = 0,
  kBadUsage = 1,     ///< bad usage or bad input file
  kUnsupported = 2,  ///< the model asks for something unsupported
  kVerifyFailed = 3, ///< results differ from the reference
  kInternalError = 70
};

enum class EmitPhase { None, Onnx, Linalg, Npu, Asm, Program };

struct Options {
  std::string model, npu = "edge", precision = "model", baselines = "default";
  bool functional = true, noHost = false, residentWeights = false, verify = false;
  bool checkHazards = false, quiet = false, verbose = false;
  std::optional<int64_t> batch;
  std::vector<std::string> dims, inputShapes, inputs; ///< NAME=...
  uint64_t seed = 0;
  std::string outputDir, reportJson, reportHtml, trace;
  EmitPhase emit = EmitPhase::None;
  std::string output; ///< -o

  std::vector<std::string> feeds;         ///< OUT=IN
  std::optional<int64_t> steps, generate; ///< how many
  std::string prompt;                     ///< file
  bool hasSteps() const { return steps || generate; }
};

using NamedTensors = std::map<std::string, Tensor>;

llvm::Expected<std::pair<std::string, std::string>> splitBinding(llvm::StringRef option,
                                                                 llvm::StringRef text);

/// Reads the files of --input.
llvm::Expected<NamedTensors> readInputs(const std::vector<std::string> &inputs);

/// --batch, --dim, --input-shape, and the shapes of the given inputs.
llvm::Expected<Bindings> makeBindings(const Options &options, const NamedTensors &inputs);

/// What --precision asks for.
struct Precision {
  bool fromModel = true;                        ///< "model"
  ElementType storage = ElementType::Undefined; ///< bf16, fp16, fp8: instead of fp32
  bool quantize = false;                        ///< int8: quantise a float model
};
llvm::Expected<Precision> parsePrecision(llvm::StringRef text);

/// A graph output's file in --output-dir: characters outside A-Za-z0-9._- become '_'.
std::string outputFileName(llvm::StringRef outputName);

} // namespace npucc
