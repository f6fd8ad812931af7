//===- CaseRunner.cpp - Runs ONNX models with stored data -----------------===//

#include "tests/runtime/ops/CaseRunner.h"

#include "runtime/onnx/TensorReader.h"

#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

#include <onnx/onnx_pb.h>

#include <chrono>

namespace npucc::test {

std::string compare(const Tensor &actual, const Tensor &expected, const Tolerance &tolerance) {
  if (actual.type() != expected.type())
    return "type " + std::string(name(actual.type())) + ", expected " +
           std::string(name(expected.type()));
  if (actual.shape() != expected.shape()) {
    std::string text = "shape";
    for (int64_t d : actual.shape())
      text += " " + std::to_string(d);
    text += ", expected";
    for (int64_t d : expected.shape())
      text += " " + std::to_string(d);
    return text;
  }
  double most = 0, worst = 0, squares = 0, errors = 0;
  int64_t differing = 0;
  for (int64_t i = 0; i < expected.size(); ++i) {
    double e = expected.asDouble(i), a = actual.asDouble(i);
    if (std::isfinite(e)) {
      most = std::max(most, std::abs(e));
      squares += e * e;
    }
    if (a == e || (std::isnan(a) && std::isnan(e)))
      continue;
    ++differing;
    double difference = std::abs(a - e);
    errors += difference * difference;
    worst = std::isnan(difference) ? INFINITY : std::max(worst, difference);
  }
  if (differing == 0)
    return "";
  if (isFloat(expected.type()) && worst <= tolerance.largest * most + 1e-7 &&
      errors <= tolerance.rms * tolerance.rms * squares + 1e-14)
    return "";
  return std::to_string(differing) + " of " + std::to_string(expected.size()) +
         " elements differ, by up to " + std::to_string(worst) + " of " + std::to_string(most) +
         ", rms " + std::to_string(std::sqrt(errors / squares));
}

CaseResult runCase(const std::string &path, llvm::ArrayRef<Tensor> inputs,
                   llvm::ArrayRef<Tensor> expected, const Tolerance &tolerance) {
  CaseResult result;
  auto model = loadModel(path);
  if (!model)
    return {llvm::toString(model.takeError())};
  if (model->graph.inputs.size() != inputs.size())
    return {"takes " + std::to_string(model->graph.inputs.size()) + " inputs, given " +
            std::to_string(inputs.size())};
  Bindings bindings;
  for (size_t i = 0; i < inputs.size(); ++i)
    bindings.inputShapes[model->graph.values[model->graph.inputs[i]].name] =
        Shape(inputs[i].shape().begin(), inputs[i].shape().end());
  if (llvm::Error error = prepare(*model, bindings))
    return {llvm::toString(std::move(error))};
  // What the rules inferred must be what the kernels make.
  std::string mismatch;
  auto observer = [&](ValueId id, const Tensor &tensor) {
    const Value &value = model->graph.values[id];
    bool known = value.isStatic();
    if (mismatch.empty() &&
        ((value.type != ElementType::Undefined && value.type != tensor.type()) ||
         (known && llvm::ArrayRef<int64_t>(value.shape()) != tensor.shape())))
      mismatch = "value '" + value.name + "' is not as inferred";
  };
  auto start = std::chrono::steady_clock::now();
  auto outputs = evaluate(model->graph, inputs, observer);
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (!outputs)
    return {llvm::toString(outputs.takeError())};
  result.message = mismatch;
  for (size_t i = 0; i < expected.size() && result.message.empty(); ++i) {
    if (i >= outputs->size())
      result.message = "too few outputs";
    else if (std::string text = compare((*outputs)[i], expected[i], tolerance); !text.empty())
      result.message = "output " + std::to_string(i) + ": " + text;
  }
  return result;
}

static llvm::Expected<Tensor> readTensor(const std::string &path) {
  if (llvm::StringRef(path).ends_with(".npy"))
    return readNpy(path);
  auto buffer = llvm::MemoryBuffer::getFile(path);
  if (!buffer)
    return llvm::errorCodeToError(buffer.getError());
  auto proto = std::make_shared<onnx::TensorProto>();
  if (!proto->ParseFromArray((*buffer)->getBufferStart(),
                             static_cast<int>((*buffer)->getBufferSize())) ||
      !proto->has_data_type())
    return llvm::createStringError(llvm::inconvertibleErrorCode(), path + " is no tensor");
  return TensorReader(path).read(*proto, proto);
}

llvm::Expected<std::vector<Tensor>> readNumbered(const std::string &prefix,
                                                 const std::string &suffix) {
  std::vector<Tensor> result;
  for (int i = 0;; ++i) {
    std::string path = prefix + std::to_string(i) + suffix;
    if (!llvm::sys::fs::exists(path))
      return result;
    auto tensor = readTensor(path);
    if (!tensor)
      return tensor.takeError();
    result.push_back(*tensor);
  }
}

std::vector<std::string> entries(const std::string &folder) {
  std::vector<std::string> result;
  std::error_code code;
  for (llvm::sys::fs::directory_iterator it(folder, code), end; it != end && !code;
       it.increment(code))
    result.push_back(it->path());
  llvm::sort(result);
  return result;
}

} // namespace npucc::test
