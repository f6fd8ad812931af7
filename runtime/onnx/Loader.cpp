//===- Loader.cpp - Reading ONNX files ----------------------------------------===//

#include "runtime/onnx/Loader.h"

#include "runtime/onnx/Errors.h"
#include "runtime/onnx/GraphBuilder.h"
#include "runtime/onnx/Sha256.h"
#include "runtime/tensor/TensorLimit.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/stubs/logging.h>
#include <onnx/onnx_pb.h>

#include <climits>
#include <set>

using namespace npucc;
using llvm::StringRef;

namespace {

/// Graphs within graphs take three messages a level. GraphBuilder allows fewer levels, and says so.
constexpr int kMessageDepth = 3 * 512;

llvm::Expected<std::unique_ptr<llvm::MemoryBuffer>> readFile(const std::string &path) {
  // A device or a pipe could deliver bytes without end.
  llvm::sys::fs::file_status status;
  if (std::error_code code = llvm::sys::fs::status(path, status))
    return makeError("{0}", code.message());
  if (status.type() != llvm::sys::fs::file_type::regular_file)
    return makeError("not a regular file");
  auto buffer = llvm::MemoryBuffer::getFile(path, /*IsText=*/false,
                                            /*RequiresNullTerminator=*/false);
  if (!buffer)
    return makeError("{0}", buffer.getError().message());
  return std::move(*buffer);
}

bool parseMessage(StringRef bytes, google::protobuf::MessageLite &proto) {
  google::protobuf::LogSilencer silence;
  google::protobuf::io::CodedInputStream stream(bytes.bytes_begin(),
                                                static_cast<int>(bytes.size()));
  stream.SetRecursionLimit(kMessageDepth);
  stream.SetTotalBytesLimit(INT_MAX);
  return proto.ParseFromCodedStream(&stream) && stream.ConsumedEntireMessage();
}

llvm::Error parse(StringRef bytes, onnx::ModelProto &proto) {
  if (bytes.size() > INT_MAX)
    return makeError("the file has more than 2 GiB; weights of such models must be external data");
  if (bytes.empty() || !parseMessage(bytes, proto))
    return makeError("not an ONNX file, or a damaged one");
  if (!proto.has_graph())
    return makeError("not an ONNX file, or one without a graph");
  return llvm::Error::success();
}

llvm::Error checkVersions(const onnx::ModelProto &proto, const OpsetImports &opsets) {
  if (proto.ir_version() < 3)
    return makeError("IR version {0} is older than 3, the oldest that is supported",
                     proto.ir_version());
  if (opsets.empty())
    return makeError("the file does not say which opset it uses");
  auto import = opsets.find("");
  if (import == opsets.end())
    return llvm::Error::success();
  if (import->second < kOldestOpset)
    return makeError("opset {0} is older than {1}, the oldest that is supported", import->second,
                     kOldestOpset);
  if (import->second > kNewestOpset)
    return makeError("opset {0} is newer than {1}, the newest that is supported", import->second,
                     kNewestOpset);
  return llvm::Error::success();
}

bool isWeight(ElementType type) {
  return isFloat(type) || type == ElementType::Int8 || type == ElementType::Uint8 ||
         type == ElementType::Int4 || type == ElementType::Uint4 || type == ElementType::Int16 ||
         type == ElementType::Uint16;
}

int64_t countRandom(const Graph &graph) {
  int64_t count = 0;
  for (const Node &node : graph.nodes)
    if (isSeededRandom(node))
      if (std::optional<int64_t> size = checkedElementCount(node.getInts("shape")))
        count = std::min(count + std::min(*size, kMaxElements), kMaxElements);
  return count;
}

} // namespace

bool npucc::isSeededRandom(const Node &node) {
  return node.opType == "RandomNormal" && node.domain.empty() && node.has("seed");
}

int64_t npucc::countWeights(const Graph &graph) {
  int64_t count = countRandom(graph);
  if (count)
    return count;
  for (const auto &[id, tensor] : graph.constants)
    if (isWeight(tensor.type()))
      count += tensor.size();
  // 32-bit integers are weights as the biases of quantised layers only.
  std::set<ValueId> biases;
  for (const Node &node : graph.nodes) {
    size_t at = node.opType == "QLinearConv" ? 8 : node.opType == "DequantizeLinear" ? 0 : SIZE_MAX;
    if (at < node.inputs.size())
      biases.insert(node.inputs[at]);
  }
  for (ValueId id : biases)
    if (const Tensor *bias = graph.constant(id); bias && bias->type() == ElementType::Int32)
      count += bias->size();
  for (const Node &node : graph.nodes)
    for (const auto &[name, attribute] : node.attributes)
      if (auto *inner = std::get_if<std::shared_ptr<Graph>>(&attribute.value))
        count += countWeights(**inner);
  return count;
}

namespace {

llvm::Error load(const std::string &path, Model &model) {
  auto buffer = readFile(path);
  if (!buffer)
    return buffer.takeError();
  StringRef bytes = (*buffer)->getBuffer();
  auto proto = std::make_shared<onnx::ModelProto>();
  if (llvm::Error error = parse(bytes, *proto))
    return error;
  OpsetImports opsets = readOpsets(proto->opset_import());
  if (llvm::Error error = checkVersions(*proto, opsets))
    return error;

  model.path = path;
  model.producer = proto->producer_name();
  if (!proto->producer_version().empty())
    model.producer += " " + proto->producer_version();
  model.irVersion = proto->ir_version();
  model.opset = opsets.count("") ? opsets[""] : 0;
  model.fileBytes = static_cast<int64_t>(bytes.size());
  model.sha256 = sha256Hex(bytes);

  TensorReader tensors(path);
  FunctionInliner functions;
  if (llvm::Error error = functions.addFunctions(*proto))
    return error;
  GraphBuilder builder(tensors, functions);
  if (llvm::Error error = builder.build(proto->graph(), proto, opsets, model.graph))
    return error;
  model.parameters = countWeights(model.graph);
  return llvm::Error::success();
}

} // namespace

llvm::Expected<Model> npucc::loadModel(const std::string &path) {
  Model model;
  // Protobuf and the standard library report a lack of memory by throwing.
  try {
    if (llvm::Error error = load(path, model))
      return prefixed(std::move(error), path + ": ");
  } catch (const std::exception &exception) {
    return makeError("{0}: {1}", path, exception.what());
  }
  return std::move(model);
}

llvm::Expected<Tensor> npucc::readTensorProto(const std::string &path) {
  try {
    auto buffer = readFile(path);
    if (!buffer)
      return prefixed(buffer.takeError(), path + ": ");
    StringRef bytes = (*buffer)->getBuffer();
    auto proto = std::make_shared<onnx::TensorProto>();
    if (bytes.size() > INT_MAX || !parseMessage(bytes, *proto))
      return makeError("{0}: not a tensor file, or a damaged one", path);
    auto tensor = TensorReader(path).read(*proto, proto);
    if (!tensor)
      return prefixed(tensor.takeError(), path + ": ");
    return tensor;
  } catch (const std::exception &exception) {
    return makeError("{0}: {1}", path, exception.what());
  }
}

int64_t npucc::countParameters(const Model &model) { return model.parameters; }
