//===- Options.cpp - What the user asks of npucc ------------------------------===//

#include "compiler/driver/Options.h"
#include "runtime/onnx/Errors.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using llvm::Expected;
using llvm::StringRef;

namespace npucc {

/// Splits NAME=VALUE at the last '=': names of tensors may contain one, values do not.
Expected<std::pair<std::string, std::string>> splitBinding(StringRef option, StringRef text) {
  auto [name, value] = text.rsplit('=');
  if (name.empty() || value.empty() || name.size() == text.size())
    return makeError("{0} {1}: expected NAME=VALUE", option, quoted(text));
  return std::make_pair(name.str(), value.str());
}

static Expected<int64_t> parseSize(StringRef option, StringRef text) {
  int64_t value = 0;
  if (text.trim().getAsInteger(10, value) || value < 0 || value > (int64_t(1) << 40))
    return makeError("{0}: {1} is no dimension: expected a number from 0", option, quoted(text));
  return value;
}

Expected<NamedTensors> readInputs(const std::vector<std::string> &inputs) {
  NamedTensors result;
  for (const std::string &text : inputs) {
    auto binding = splitBinding("--input", text);
    if (!binding)
      return binding.takeError();
    Expected<Tensor> tensor = readNpy(binding->second);
    if (!tensor)
      return tensor.takeError();
    if (!result.emplace(binding->first, std::move(*tensor)).second)
      return makeError("--input {0} is given twice", quoted(binding->first));
  }
  return result;
}

static Expected<std::vector<std::string>> npyFiles(StringRef folder) {
  std::vector<std::string> result;
  std::error_code code;
  for (llvm::sys::fs::directory_iterator it(folder, code), end; !code && it != end;
       it.increment(code))
    if (llvm::sys::path::extension(it->path()) == ".npy")
      result.push_back(it->path());
  if (code)
    return makeError("--calibrate: folder {0}: {1}", quoted(folder), code.message());
  if (result.empty())
    return makeError("--calibrate: folder {0} has no .npy files", quoted(folder));
  llvm::sort(result);
  return result;
}

Expected<Samples> Samples::find(const Graph &graph, StringRef folder) {
  Samples result;
  for (ValueId id : graph.inputs) {
    const Value &value = graph.values[id];
    if (bitWidth(value.type) == 0)
      return makeError("--calibrate: the graph's input {0} holds strings", quoted(value.name));
    Input input{value, {}};
    if (!llvm::is_contained(value.shape(), 0)) {
      llvm::SmallString<256> path(folder);
      if (graph.inputs.size() > 1)
        llvm::sys::path::append(path, fileName(value.name));
      Expected<std::vector<std::string>> files = npyFiles(path);
      if (!files)
        return files.takeError();
      if (result.sampleCount && files->size() != result.sampleCount)
        return makeError("--calibrate: folder {0} has {1} .npy files, one before it {2}",
                         quoted(path), files->size(), result.sampleCount);
      result.sampleCount = files->size();
      input.files = std::move(*files);
    }
    result.inputs.push_back(std::move(input));
  }
  return result;
}

Expected<std::vector<Tensor>> Samples::read(size_t index) const {
  std::vector<Tensor> result;
  for (const Input &input : inputs) {
    Shape shape = input.value.shape();
    if (input.files.empty()) {
      result.push_back(Tensor::zeros(input.value.type, shape));
      continue;
    }
    Expected<Tensor> tensor = readNpy(input.files[index]);
    if (!tensor)
      return tensor.takeError();
    if (tensor->shape() != llvm::ArrayRef<int64_t>(shape))
      return makeError("--calibrate: {0} has shape [{1:$[,]}], the graph's input {2} [{3:$[,]}]",
                       quoted(input.files[index]),
                       llvm::make_range(tensor->shape().begin(), tensor->shape().end()),
                       quoted(input.value.name), llvm::make_range(shape.begin(), shape.end()));
    result.push_back(castTensor(*tensor, input.value.type));
  }
  return result;
}

Expected<Bindings> makeBindings(const Options &options, const NamedTensors &inputs) {
  Bindings bindings;
  bindings.defaults = options.defaultDims;
  if (options.batch) {
    if (*options.batch < 1)
      return makeError("--batch {0}: expected a number from 1", *options.batch);
    bindings.batch = options.batch;
  }
  for (const std::string &text : options.dims) {
    auto binding = splitBinding("--dim", text);
    if (!binding)
      return binding.takeError();
    Expected<int64_t> size = parseSize("--dim " + binding->first, binding->second);
    if (!size)
      return size.takeError();
    auto [it, isNew] = bindings.dims.emplace(binding->first, *size);
    if (!isNew && it->second != *size)
      return makeError("--dim {0} is given twice, as {1} and {2}", quoted(binding->first),
                       it->second, *size);
  }
  for (const std::string &text : options.inputShapes) {
    auto binding = splitBinding("--input-shape", text);
    if (!binding)
      return binding.takeError();
    Shape shape;
    for (StringRef part : llvm::split(binding->second, ',')) {
      Expected<int64_t> size = parseSize("--input-shape " + binding->first, part);
      if (!size)
        return size.takeError();
      shape.push_back(*size);
    }
    if (!bindings.inputShapes.emplace(binding->first, shape).second)
      return makeError("--input-shape {0} is given twice", quoted(binding->first));
  }
  for (const auto &[name, tensor] : inputs) {
    Shape shape(tensor.shape().begin(), tensor.shape().end());
    auto [it, isNew] = bindings.inputShapes.emplace(name, shape);
    if (!isNew && it->second != shape)
      return makeError("--input-shape {0} differs from the shape of the file given with --input",
                       quoted(name));
  }
  return bindings;
}

Expected<Precision> parsePrecision(StringRef text) {
  Precision result;
  if (text == "model")
    return result;
  result.fromModel = false;
  std::optional<ElementType> type =
      text == "fp8" ? ElementType::Float8E4M3FN : parseElementType(text);
  if (type == ElementType::Int8) {
    result.quantize = true;
    return result;
  }
  if (!type || !isFloat(*type) || *type == ElementType::Float64)
    return makeError("--precision {0}: expected model, fp32, bf16, fp16, fp8, fp8e5m2 or int8",
                     quoted(text));
  if (*type != ElementType::Float32)
    result.storage = *type;
  return result;
}

std::string fileName(StringRef tensorName) {
  std::string result = tensorName.str();
  for (char &c : result)
    if (!llvm::isAlnum(c) && c != '.' && c != '_' && c != '-')
      c = '_';
  // ".." and "" would leave the folder, or name none.
  if (result.find_first_not_of('.') == std::string::npos)
    result = "_" + result;
  return result;
}

std::string outputFileName(StringRef outputName) { return fileName(outputName) + ".npy"; }

} // namespace npucc
