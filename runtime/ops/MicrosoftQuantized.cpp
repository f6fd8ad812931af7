//===- MicrosoftQuantized.cpp - ONNX Runtime's quantised operators --------===//
//
// QLinearAdd and its like are dequantise, the float operator, quantise, as ONNX
// Runtime defines them. MatMulNBits has weights of 2 to 8 bits in blocks.
//
//===----------------------------------------------------------------------===//

#include "runtime/ops/Families.h"
#include "runtime/ops/Matmul.h"
#include "runtime/ops/Quantized.h"

namespace npucc::ops {
namespace {

Expected<Tensor> call(const char *name, const Node &node, ArrayRef<Tensor> inputs) {
  const OpInfo *info = findOp("", name);
  if (!info || !info->kernel)
    return fail(Twine("operator ") + name + " is not supported");
  auto results = info->kernel(node, inputs);
  if (!results)
    return results.takeError();
  return (*results)[0];
}

Tensor optional(ArrayRef<Tensor> inputs, size_t i) {
  return present(inputs, i) ? inputs[i] : Tensor();
}

/// The float tensor of (x, scale, zero point) at inputs i, i + 1, i + 2.
Expected<Tensor> floatAt(ArrayRef<Tensor> inputs, size_t i) {
  if (!present(inputs, i) || !present(inputs, i + 1))
    return fail("input " + Twine(present(inputs, i) ? i + 1 : i) + " is missing");
  return call("DequantizeLinear", Node(), {inputs[i], inputs[i + 1], optional(inputs, i + 2)});
}

/// Quantises with scale and zero point at inputs i, i + 1, to x's type without one.
Expected<Tensors> quantised(const Tensor &y, ArrayRef<Tensor> inputs, size_t i,
                            ElementType fallback) {
  if (!present(inputs, i))
    return fail("input " + Twine(i) + " is missing");
  Tensor zero = optional(inputs, i + 1);
  if (!zero.defined()) {
    if (!isByte(fallback))
      return unsupportedType(fallback);
    zero = Tensor::zeros(fallback, {});
  }
  NPUCC_TAKE(result, call("QuantizeLinear", Node(), {y, inputs[i], zero}));
  return one(result);
}

Expected<Tensors> binary(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TAKE(a, floatAt(inputs, 0));
  NPUCC_TAKE(b, floatAt(inputs, 3));
  NPUCC_TAKE(y, call(node.opType == "QLinearAdd" ? "Add" : "Mul", Node(), {a, b}));
  return quantised(y, inputs, 6, inputs[0].type());
}

Expected<Tensors> unary(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TAKE(x, floatAt(inputs, 0));
  if (node.getInt("channels_last", 0))
    return fail("channels_last is not supported");
  std::string name = llvm::StringRef(node.opType).drop_front(strlen("QLinear")).str();
  NPUCC_TAKE(y, call(name.c_str(), node, {x}));
  return quantised(y, inputs, 3, inputs[0].type());
}

Expected<Tensors> concat(const Node &node, ArrayRef<Tensor> inputs) {
  std::vector<Tensor> parts;
  for (size_t i = 2; i + 1 < inputs.size(); i += 3) {
    NPUCC_TAKE(part, floatAt(inputs, i));
    parts.push_back(part);
  }
  NPUCC_TAKE(y, call("Concat", node, parts));
  return quantised(y, inputs, 0, inputs[2].type());
}

/// Rules of the float operators, with the result's type replaced.
Error inferAs(InferContext &c, const char *name, ArrayRef<size_t> operands, ElementType type) {
  std::vector<Value> floats; // what the operands are once dequantised
  std::vector<const Value *> values;
  std::vector<const Tensor *> constants(operands.size(), nullptr);
  for (size_t i : operands) {
    if (!c.has(i))
      return fail("input " + Twine(i) + " is missing");
    floats.push_back(*c.inputs[i]);
    floats.back().type = ElementType::Float32;
  }
  for (const Value &value : floats)
    values.push_back(&value);
  const OpInfo *info = findOp("", name);
  if (!info)
    return fail(Twine("operator ") + name + " is not supported");
  InferContext inner{c.node, values, constants, c.outputs};
  NPUCC_TRY(info->infer(inner));
  if (!c.outputs.empty())
    c.outputs[0].type = type;
  return Error::success();
}
Error inferBinary(InferContext &c) { return inferAs(c, "Add", {0, 3}, typeOf(c, 0)); }
Error inferUnary(InferContext &c) {
  std::string name = llvm::StringRef(c.node.opType).drop_front(strlen("QLinear")).str();
  return inferAs(c, name.c_str(), {0}, typeOf(c, 0));
}
Error inferConcat(InferContext &c) {
  std::vector<size_t> operands;
  for (size_t i = 2; i < c.inputs.size(); i += 3)
    operands.push_back(i);
  return inferAs(c, "Concat", operands, typeOf(c, 2));
}

//===----------------------------------------------------------------------===//
// MatMulNBits: A [..., K] times W [N, K] in blocks of `block_size` along K
//===----------------------------------------------------------------------===//

struct NBits {
  int64_t depth, columns, bits, block, blocks, blob;
};
Expected<NBits> nBits(const Node &node) {
  NBits n{node.getInt("K", 0),
          node.getInt("N", 0),
          node.getInt("bits", 4),
          node.getInt("block_size", 0),
          0,
          0};
  if (n.depth < 1 || n.columns < 1 || n.depth > (1 << 30) || n.columns > (1 << 30) || n.block < 1 ||
      n.block > (1 << 30) || n.bits < 2 || n.bits > 8)
    return fail("K, N, bits or block_size is out of range");
  n.blocks = (n.depth + n.block - 1) / n.block;
  n.blob = (n.block * n.bits + 7) / 8;
  return n;
}

/// The `bits`-wide number at position i of packed bytes.
uint32_t bitsAt(const uint8_t *bytes, int64_t i, int64_t bits) {
  int64_t at = i * bits, shift = at % 8;
  uint32_t word = bytes[at / 8];
  if (shift + bits > 8)
    word |= static_cast<uint32_t>(bytes[at / 8 + 1]) << 8;
  return word >> shift & ((1u << bits) - 1);
}

Expected<Tensors> matmulNBits(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 3));
  NPUCC_TAKE(n, nBits(node));
  const Tensor &a = inputs[0], &b = inputs[1];
  if (present(inputs, 4))
    return fail("g_idx is not supported");
  if (a.rank() < 1 || a.shape().back() != n.depth || a.type() != ElementType::Float32)
    return fail("A " + text(a.shape()) + " must be floats that end with K " + Twine(n.depth));
  int64_t count = n.columns * n.blocks, zeroRow = (n.blocks * n.bits + 7) / 8;
  if (b.type() != ElementType::Uint8 || b.size() != count * n.blob || inputs[2].size() != count)
    return fail("B " + text(b.shape()) + " or scales " + text(inputs[2].shape()) +
                " do not fit K, N and block_size");
  std::vector<float> scale = floats(inputs[2]);
  bool packed = present(inputs, 3) && inputs[3].type() == ElementType::Uint8;
  if (present(inputs, 3) && inputs[3].size() != (packed ? n.columns * zeroRow : count))
    return fail("zero_points " + text(inputs[3].shape()) + " do not fit");
  NPUCC_TAKE(weights, allocate(ElementType::Float32, {n.depth, n.columns}));
  float *to = weights.mutableValues<float>().data();
  for (int64_t column = 0; column < n.columns; ++column)
    for (int64_t block = 0; block < n.blocks; ++block) {
      int64_t at = column * n.blocks + block;
      float zero = static_cast<float>(1 << (n.bits - 1));
      if (packed)
        zero = static_cast<float>(bitsAt(inputs[3].data() + column * zeroRow, block, n.bits));
      else if (present(inputs, 3))
        zero = static_cast<float>(inputs[3].asDouble(at));
      int64_t last = std::min(n.depth, (block + 1) * n.block);
      for (int64_t k = block * n.block; k < last; ++k) {
        uint32_t q = bitsAt(b.data() + at * n.blob, k - block * n.block, n.bits);
        to[k * n.columns + column] = (static_cast<float>(q) - zero) * scale[at];
      }
    }
  NPUCC_TAKE(y, matmulFloat(a, weights));
  if (!present(inputs, 5))
    return one(y);
  NPUCC_TAKE(sum, call("Add", Node(), {y, inputs[5]}));
  return one(sum);
}
Error inferMatmulNBits(InferContext &c) {
  NPUCC_TRY(require(c, 3));
  NPUCC_TAKE(n, nBits(c.node));
  auto dims = dimsOf(c, 0);
  if (dims && dims->empty())
    return fail("A must have rank 1 or more");
  if (dims)
    dims->back() = n.columns;
  setOutput(c, 0, typeOf(c, 0), dims);
  return Error::success();
}

//===----------------------------------------------------------------------===//
// MatMulIntegerToFloat, DynamicQuantizeMatMul
//===----------------------------------------------------------------------===//

/// (a - za)(b - zb) * sa * sb + bias
Expected<Tensors> scaledProduct(const Tensor &a, const Tensor &b, const Tensor &scaleA,
                                const Tensor &scaleB, const Tensor &zeroA, const Tensor &zeroB,
                                const Tensor &bias) {
  NPUCC_TAKE(acc, call("MatMulInteger", Node(), {a, b, zeroA, zeroB}));
  NPUCC_TAKE(scale, call("Mul", Node(), {scaleA, scaleB}));
  NPUCC_TAKE(y, call("Mul", Node(), {castTensor(acc, ElementType::Float32), scale}));
  if (!bias.defined())
    return one(y);
  NPUCC_TAKE(sum, call("Add", Node(), {y, bias}));
  return one(sum);
}
Expected<Tensors> matmulIntegerToFloat(const Node &, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 4));
  return scaledProduct(inputs[0], inputs[1], inputs[2], inputs[3], optional(inputs, 4),
                       optional(inputs, 5), optional(inputs, 6));
}
Expected<Tensors> dynamicQuantizeMatmul(const Node &, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 3));
  auto a = findOp("", "DynamicQuantizeLinear")->kernel(Node(), inputs.take_front(1));
  if (!a)
    return a.takeError();
  return scaledProduct((*a)[0], inputs[1], (*a)[1], inputs[2], (*a)[2], optional(inputs, 3),
                       optional(inputs, 4));
}
Error inferFloatMatmul(InferContext &c) { return inferMatmul(c, 0, 1, ElementType::Float32); }

} // namespace

llvm::ArrayRef<OpInfo> microsoftQuantizedOps() {
  static const OpInfo table[] = {
      {"com.microsoft", "QLinearAdd", 1, inferBinary, binary},
      {"com.microsoft", "QLinearMul", 1, inferBinary, binary},
      {"com.microsoft", "QLinearSigmoid", 1, inferUnary, unary},
      {"com.microsoft", "QLinearLeakyRelu", 1, inferUnary, unary},
      {"com.microsoft", "QLinearSoftmax", 1, inferUnary, unary},
      {"com.microsoft", "QLinearAveragePool", 1, inferUnary, unary},
      {"com.microsoft", "QLinearGlobalAveragePool", 1, inferUnary, unary},
      {"com.microsoft", "QLinearConcat", 1, inferConcat, concat},
      {"com.microsoft", "MatMulNBits", 1, inferMatmulNBits, widened<matmulNBits>, matmulMacs<0>},
      {"com.microsoft", "MatMulIntegerToFloat", 1, inferFloatMatmul, matmulIntegerToFloat,
       matmulMacs<0>},
      {"com.microsoft", "DynamicQuantizeMatMul", 1, inferFloatMatmul, dynamicQuantizeMatmul,
       matmulMacs<0>},
  };
  return table;
}

} // namespace npucc::ops
