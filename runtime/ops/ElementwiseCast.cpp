//===- ElementwiseCast.cpp - Cast, CastLike, Identity, Dropout ------------===//

#include "runtime/ops/Families.h"
#include "runtime/ops/Support.h"

namespace npucc::ops {
namespace {

Expected<ElementType> targetType(const Node &node) {
  int64_t to = node.getInt("to", 0);
  if (to <= 0 || to > static_cast<int64_t>(ElementType::Int4))
    return fail("attribute 'to' names no known type: " + Twine(to));
  auto type = static_cast<ElementType>(to);
  if (bitWidth(type) == 0 || type == ElementType::Complex64 || type == ElementType::Complex128)
    return fail("cast to " + text(type) + " is not supported");
  return type;
}

Expected<Tensors> convert(const Tensor &input, ElementType type) {
  ElementType from = input.type();
  if (from == type)
    return one(input);
  if (bitWidth(from) == 0 || from == ElementType::Complex64 || from == ElementType::Complex128)
    return fail("cast from " + text(from) + " is not supported");
  if (type == ElementType::String)
    return fail("cast to string is not supported");
  return one(castTensor(input, type));
}

Expected<Tensors> cast(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 1));
  NPUCC_TAKE(type, targetType(node));
  return convert(inputs[0], type);
}
Expected<Tensors> castLike(const Node &, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 2));
  return convert(inputs[0], inputs[1].type());
}
Expected<Tensors> identity(const Node &, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 1));
  return one(inputs[0]);
}
/// Inference-time dropout, and training's where nothing is dropped: the input, and a mask of ones.
Expected<Tensors> dropout(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 1));
  bool dropsNone = present(inputs, 1) && inputs[1].size() == 1 && inputs[1].asDouble(0) == 0;
  if (present(inputs, 2) && inputs[2].size() == 1 && inputs[2].asInt(0) != 0 && !dropsNone)
    return fail("training_mode is not supported");
  Tensors result = one(inputs[0]);
  if (node.outputs.size() > 1) {
    NPUCC_TAKE(mask, allocate(ElementType::Bool, inputs[0].shape()));
    llvm::fill(mask.mutableValues<uint8_t>(), 1);
    result.push_back(mask);
  }
  return result;
}

Error inferCast(InferContext &c) {
  NPUCC_TRY(require(c, 1));
  NPUCC_TAKE(type, targetType(c.node));
  setOutput(c, 0, type, dimsOf(c, 0));
  return Error::success();
}
Error inferCastLike(InferContext &c) {
  NPUCC_TRY(require(c, 2));
  setOutput(c, 0, typeOf(c, 1), dimsOf(c, 0));
  return Error::success();
}
Error inferDropout(InferContext &c) {
  NPUCC_TRY(sameAsFirst(c));
  setOutput(c, 1, ElementType::Bool, dimsOf(c, 0));
  return Error::success();
}

} // namespace

llvm::ArrayRef<OpInfo> castOps() {
  static const OpInfo table[] = {
      {"", "Cast", 21, inferCast, cast},
      {"", "CastLike", 21, inferCastLike, castLike},
      {"", "Identity", 21, sameAsFirst, identity},
      {"", "Dropout", 13, inferDropout, dropout},
  };
  return table;
}

} // namespace npucc::ops
