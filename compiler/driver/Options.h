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
  std::map<std::string, int64_t> defaultDims;         ///< of a network of the zoo
  std::string calibrate; ///< folder of samples; int8 ranges are measured on them
  std::string ranges = "minmax"; ///< how: minmax, percentile, mse
  double minSnrDb = 25;          ///< int8: below it, some layers stay in floating point
  uint64_t seed = 0;
  std::string outputDir, reportJson, reportHtml, trace;
  std::optional<std::string> explainEnergy; ///< a figure, or "" for the total
  EmitPhase emit = EmitPhase::None;
  std::string output; ///< -o
  bool writesOnnxFile() const {
    return emit == EmitPhase::Onnx && llvm::StringRef(output).ends_with(".onnx");
  }

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

/// Samples of --calibrate: as many as there are files for an input.
class Samples {
public:
  /// With one input its .npy files are in `folder`; with several each input has a subfolder,
  /// and the first files of all of them (by name) make the first sample. Inputs without
  /// elements have no files.
  static llvm::Expected<Samples> find(const Graph &graph, llvm::StringRef folder);

  size_t count() const { return sampleCount; }
  /// In the order of the graph's inputs.
  llvm::Expected<std::vector<Tensor>> read(size_t index) const;

private:
  struct Input {
    Value value;
    std::vector<std::string> files; ///< empty: a tensor without elements
  };
  std::vector<Input> inputs;
  size_t sampleCount = 0;
};

/// --batch, --dim, --input-shape, and the shapes of the given inputs.
llvm::Expected<Bindings> makeBindings(const Options &options, const NamedTensors &inputs);

/// What --precision asks for.
struct Precision {
  bool fromModel = true;                        ///< "model"
  ElementType storage = ElementType::Undefined; ///< bf16, fp16, fp8: instead of fp32
  bool quantize = false;                        ///< int8: quantise a float model
};
llvm::Expected<Precision> parsePrecision(llvm::StringRef text);

/// A tensor's name as that of a file or folder: characters outside A-Za-z0-9._- become '_'.
std::string fileName(llvm::StringRef tensorName);
/// A graph output's file in --output-dir.
std::string outputFileName(llvm::StringRef outputName);

} // namespace npucc
