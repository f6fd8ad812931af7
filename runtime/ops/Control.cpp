//===- Control.cpp - Shape rules of If, Loop and Scan ---------------------===//
//
// Bodies are prepared before these rules run, so their values have types and
// shapes. Evaluation is in runtime/reference.
//
//===----------------------------------------------------------------------===//

#include "runtime/ops/Support.h"

namespace npucc::ops {
namespace {

/// What two possible shapes of one value have in common.
std::optional<Shape> common(const std::optional<Shape> &a, const std::optional<Shape> &b) {
  if (!a || !b || a->size() != b->size())
    return std::nullopt;
  Shape result = *a;
  for (size_t d = 0; d < result.size(); ++d)
    if (result[d] != (*b)[d])
      result[d] = -1;
  return result;
}

Error inferIf(InferContext &c) {
  NPUCC_TRY(require(c, 1));
  auto yes = c.node.getGraph("then_branch"), no = c.node.getGraph("else_branch");
  if (!yes || !no)
    return fail("a branch is missing");
  if (yes->outputs.size() < c.outputs.size() || no->outputs.size() < c.outputs.size())
    return fail("a branch has too few outputs");
  for (size_t i = 0; i < c.outputs.size(); ++i) {
    const Value &a = yes->values[yes->outputs[i]], &b = no->values[no->outputs[i]];
    ElementType type = a.type == ElementType::Undefined ? b.type : a.type;
    setOutput(c, i, type, common(dimsOf(&a), dimsOf(&b)));
  }
  return Error::success();
}

Error inferLoop(InferContext &c) {
  auto body = c.node.getGraph("body");
  size_t states = c.inputs.size() < 2 ? 0 : c.inputs.size() - 2;
  if (!body)
    return fail("attribute 'body' is missing");
  if (body->inputs.size() < 2 + states || body->outputs.size() < 1 + c.outputs.size() ||
      c.outputs.size() < states)
    return fail("the body does not match the node's inputs and outputs");
  // The number of iterations is known where nothing can end the loop early.
  auto isTrue = [](const Tensor *t) { return t && t->size() == 1 && t->asInt(0) != 0; };
  int64_t trips = -1;
  const Tensor *limit = c.constant(0);
  if (limit && limit->size() == 1 && isTrue(body->constant(body->outputs[0])) &&
      (!c.has(1) || isTrue(c.constant(1))))
    trips = std::max<int64_t>(0, limit->asInt(0));
  for (size_t i = 0; i < c.outputs.size(); ++i) {
    const Value &value = body->values[body->outputs[i + 1]];
    std::optional<Shape> dims = dimsOf(&value);
    if (i < states) // zero iterations hand the initial value on
      dims = common(dims, dimsOf(c, i + 2));
    else if (dims)
      dims->insert(dims->begin(), trips);
    setOutput(c, i, value.type, dims);
  }
  return Error::success();
}

Error inferScan(InferContext &c) {
  auto body = c.node.getGraph("body");
  int64_t scanned = c.node.getInt("num_scan_inputs", 0);
  if (!body || scanned < 1 || scanned > static_cast<int64_t>(c.inputs.size()))
    return fail("needs a body, and num_scan_inputs between 1 and the inputs");
  size_t states = c.inputs.size() - static_cast<size_t>(scanned);
  if (body->outputs.size() < c.outputs.size() || c.outputs.size() < states)
    return fail("the body does not match the node's inputs and outputs");
  int64_t length = -1;
  std::vector<int64_t> axesIn = c.node.getInts("scan_input_axes");
  if (auto dims = dimsOf(c, states)) {
    NPUCC_TAKE(axis,
               normalizeAxis(axesIn.empty() ? 0 : axesIn[0], static_cast<int64_t>(dims->size())));
    length = (*dims)[axis];
  }
  std::vector<int64_t> axesOut = c.node.getInts("scan_output_axes");
  for (size_t i = 0; i < c.outputs.size(); ++i) {
    const Value &value = body->values[body->outputs[i]];
    std::optional<Shape> dims = dimsOf(&value);
    if (i >= states && dims) {
      size_t k = i - states;
      NPUCC_TAKE(axis, normalizeAxis(k < axesOut.size() ? axesOut[k] : 0,
                                     static_cast<int64_t>(dims->size()) + 1));
      dims->insert(dims->begin() + axis, length);
    }
    setOutput(c, i, value.type, dims);
  }
  return Error::success();
}

} // namespace
} // namespace npucc::ops

llvm::ArrayRef<npucc::OpInfo> npucc::controlOps() {
  using namespace npucc::ops;
  static const OpInfo table[] = {
      {"", "If", 21, inferIf, nullptr},
      {"", "Loop", 21, inferLoop, nullptr},
      {"", "Scan", 21, inferScan, nullptr},
  };
  return table;
}
