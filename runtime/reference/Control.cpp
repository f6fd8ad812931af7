//===- Control.cpp - Evaluation of If, Loop and Scan ----------------------===//

#include "runtime/reference/Control.h"

#include "runtime/onnx/Errors.h"
#include "runtime/ops/Support.h"

#include <cstring>

using namespace npucc;
using llvm::ArrayRef;
using llvm::Expected;

namespace {

Expected<bool> truth(const Tensor &tensor, const char *what) {
  if (tensor.type() != ElementType::Bool || tensor.size() != 1)
    return makeError("{0} must be one bool", what);
  return tensor.asInt(0) != 0;
}

Expected<std::shared_ptr<Graph>> bodyOf(const Node &node, const char *attribute) {
  std::shared_ptr<Graph> body = node.getGraph(attribute);
  if (!body)
    return makeError("attribute '{0}' is missing", attribute);
  return body;
}

/// A loop that is meant to end has ended by then.
constexpr int64_t kMaxIterations = int64_t(1) << 24;

size_t elementBytes(const Tensor &tensor) { return bitWidth(tensor.type()) / 8; }

/// Stacks equal tensors along a new axis; `empty` gives type and shape for none.
Expected<Tensor> stack(ArrayRef<Tensor> parts, int64_t axis, const Value &empty) {
  ElementType type = parts.empty() ? empty.type : parts[0].type();
  Shape shape;
  if (!parts.empty())
    shape.assign(parts[0].shape().begin(), parts[0].shape().end());
  else if (empty.dims)
    for (const Dim &dim : *empty.dims)
      shape.push_back(std::max<int64_t>(dim.size, 0));
  int64_t rank = static_cast<int64_t>(shape.size()) + 1;
  if (axis < -rank || axis >= rank)
    return makeError("scan axis {0} is out of range for rank {1}", axis, rank);
  axis += axis < 0 ? rank : 0;
  shape.insert(shape.begin() + axis, static_cast<int64_t>(parts.size()));
  if (bitWidth(type) < 8)
    return makeError("scan outputs of type {0} are not supported", name(type));
  auto stacked = ops::allocate(type, shape);
  if (!stacked)
    return stacked.takeError();
  Tensor result = std::move(*stacked);
  int64_t outer = 1;
  for (int64_t d = 0; d < axis && !parts.empty(); ++d)
    outer *= shape[d];
  for (size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].type() != type || parts[i].shape() != parts[0].shape())
      return makeError("scan outputs differ in type or shape between iterations");
    size_t bytes = outer ? parts[i].byteSize() / static_cast<size_t>(outer) : 0;
    for (int64_t o = 0; o < outer && bytes; ++o)
      std::memcpy(result.mutableData() + (o * parts.size() + i) * bytes,
                  parts[i].data() + o * bytes, bytes);
  }
  return result;
}

/// Keeps one iteration's result for stack(), which would otherwise find too late that there are
/// too many.
llvm::Error collect(const Tensor &tensor, std::vector<Tensor> &parts) {
  auto count = static_cast<int64_t>(parts.size()) + 1;
  auto bytes = static_cast<int64_t>(std::max<size_t>(tensor.byteSize(), 1));
  if (count > maxTensorBytes() / bytes)
    return makeError("a scan output needs more than {0} MiB", maxTensorBytes() >> 20);
  parts.push_back(tensor);
  return llvm::Error::success();
}

/// Element `index` of `tensor` along `axis`, without that axis.
Tensor pick(const Tensor &tensor, int64_t axis, int64_t index) {
  Shape shape(tensor.shape().begin(), tensor.shape().end());
  int64_t outer = 1, length = shape[axis], inner = static_cast<int64_t>(elementBytes(tensor));
  for (int64_t d = 0; d < axis; ++d)
    outer *= shape[d];
  for (size_t d = static_cast<size_t>(axis) + 1; d < shape.size(); ++d)
    inner *= shape[d];
  shape.erase(shape.begin() + axis);
  Tensor result = Tensor::zeros(tensor.type(), shape);
  for (int64_t o = 0; o < outer && inner; ++o)
    std::memcpy(result.mutableData() + o * inner, tensor.data() + (o * length + index) * inner,
                inner);
  return result;
}

Expected<Tensors> runIf(const Node &node, ArrayRef<Tensor> inputs, const Capture &capture,
                        const BodyObserver &bodies) {
  if (inputs.empty())
    return makeError("the condition is missing");
  auto taken = truth(inputs[0], "the condition");
  if (!taken)
    return taken.takeError();
  auto body = bodyOf(node, *taken ? "then_branch" : "else_branch");
  if (!body)
    return body.takeError();
  auto results = evaluateGraph(**body, {}, capture, nullptr, bodies, /*isBody=*/true);
  if (!results)
    return results.takeError();
  return Tensors(results->begin(), results->end());
}

Expected<Tensors> runLoop(const Node &node, ArrayRef<Tensor> inputs, const Capture &capture,
                          const BodyObserver &bodies) {
  auto body = bodyOf(node, "body");
  if (!body)
    return body.takeError();
  const Graph &graph = **body;
  size_t states = inputs.size() < 2 ? 0 : inputs.size() - 2;
  if (graph.inputs.size() != states + 2 || graph.outputs.size() < states + 1)
    return makeError("the body does not match the node's inputs");
  int64_t limit = INT64_MAX;
  bool running = true;
  if (!inputs.empty() && inputs[0].defined()) {
    if (inputs[0].size() != 1 || !isInteger(inputs[0].type()))
      return makeError("the trip count must be one integer");
    limit = inputs[0].asInt(0);
  }
  if (inputs.size() > 1 && inputs[1].defined()) {
    auto first = truth(inputs[1], "the condition");
    if (!first)
      return first.takeError();
    running = *first;
  }
  std::vector<Tensor> state(inputs.begin() + std::min<size_t>(2, inputs.size()), inputs.end());
  std::vector<std::vector<Tensor>> scanned(graph.outputs.size() - 1 - states);
  for (int64_t i = 0; i < limit && running; ++i) {
    if (i == kMaxIterations)
      return makeError("more than {0} iterations are not supported", kMaxIterations);
    std::vector<Tensor> arguments = {
        Tensor::of<int64_t>(ElementType::Int64, {}, {i}),
        Tensor::of<uint8_t>(ElementType::Bool, {}, {static_cast<uint8_t>(running)})};
    arguments.insert(arguments.end(), state.begin(), state.end());
    auto results = evaluateGraph(graph, arguments, capture, nullptr, bodies, /*isBody=*/true);
    if (!results)
      return results.takeError();
    auto next = truth((*results)[0], "the body's condition");
    if (!next)
      return next.takeError();
    running = *next;
    for (size_t s = 0; s < states; ++s)
      state[s] = (*results)[1 + s];
    for (size_t k = 0; k < scanned.size(); ++k)
      if (llvm::Error error = collect((*results)[1 + states + k], scanned[k]))
        return std::move(error);
  }
  Tensors outputs(state.begin(), state.end());
  for (size_t k = 0; k < scanned.size(); ++k) {
    auto stacked = stack(scanned[k], 0, graph.values[graph.outputs[1 + states + k]]);
    if (!stacked)
      return stacked.takeError();
    outputs.push_back(*stacked);
  }
  return outputs;
}

Expected<Tensors> runScan(const Node &node, ArrayRef<Tensor> inputs, const Capture &capture,
                          const BodyObserver &bodies) {
  auto body = bodyOf(node, "body");
  if (!body)
    return body.takeError();
  const Graph &graph = **body;
  int64_t count = node.getInt("num_scan_inputs", 0);
  if (count < 1 || count > static_cast<int64_t>(inputs.size()))
    return makeError("num_scan_inputs {0} does not fit {1} inputs", count, inputs.size());
  size_t states = inputs.size() - static_cast<size_t>(count);
  if (graph.inputs.size() != inputs.size() || graph.outputs.size() < states)
    return makeError("the body does not match the node's inputs");
  std::vector<int64_t> axesIn = node.getInts("scan_input_axes");
  std::vector<int64_t> axesOut = node.getInts("scan_output_axes");
  std::vector<int64_t> backIn = node.getInts("scan_input_directions");
  std::vector<int64_t> backOut = node.getInts("scan_output_directions");
  auto at = [](ArrayRef<int64_t> list, size_t i) { return i < list.size() ? list[i] : 0; };

  int64_t length = -1;
  std::vector<int64_t> axes;
  for (size_t k = 0; k < static_cast<size_t>(count); ++k) {
    const Tensor &input = inputs[states + k];
    int64_t axis = at(axesIn, k), rank = input.rank();
    if (axis < -rank || axis >= rank || elementBytes(input) == 0)
      return makeError("scan input {0} cannot be scanned along axis {1}", k, axis);
    axes.push_back(axis < 0 ? axis + rank : axis);
    int64_t here = input.shape()[axes.back()];
    if (length >= 0 && here != length)
      return makeError("scan inputs have {0} and {1} elements", length, here);
    length = here;
  }
  std::vector<Tensor> state(inputs.begin(), inputs.begin() + states);
  std::vector<std::vector<Tensor>> scanned(graph.outputs.size() - states);
  for (int64_t i = 0; i < length; ++i) {
    std::vector<Tensor> arguments = state;
    for (size_t k = 0; k < axes.size(); ++k)
      arguments.push_back(pick(inputs[states + k], axes[k], at(backIn, k) ? length - 1 - i : i));
    auto results = evaluateGraph(graph, arguments, capture, nullptr, bodies, /*isBody=*/true);
    if (!results)
      return results.takeError();
    state.assign(results->begin(), results->begin() + states);
    for (size_t k = 0; k < scanned.size(); ++k)
      if (llvm::Error error = collect((*results)[states + k], scanned[k]))
        return std::move(error);
  }
  Tensors outputs(state.begin(), state.end());
  for (size_t k = 0; k < scanned.size(); ++k) {
    if (at(backOut, k))
      std::reverse(scanned[k].begin(), scanned[k].end());
    auto stacked = stack(scanned[k], at(axesOut, k), graph.values[graph.outputs[states + k]]);
    if (!stacked)
      return stacked.takeError();
    outputs.push_back(*stacked);
  }
  return outputs;
}

} // namespace

Expected<Tensors> npucc::evaluateControl(const Node &node, ArrayRef<Tensor> inputs,
                                         const Capture &capture, const BodyObserver &bodies) {
  if (node.opType == "If")
    return runIf(node, inputs, capture, bodies);
  if (node.opType == "Loop")
    return runLoop(node, inputs, capture, bodies);
  return runScan(node, inputs, capture, bodies);
}
