//===- IntegerConvolution.cpp - QLinearConv and ConvInteger ---------------===//
//
// Exact: int32 accumulators of zero-centred bytes, which wrap as the ONNX
// definition does. Padding is the input's zero point, hence 0 once centred.
//
//===----------------------------------------------------------------------===//

#include "runtime/ops/Families.h"
#include "runtime/ops/IntegerGemm.h"
#include "runtime/ops/Quantized.h"
#include "runtime/ops/Window.h"

namespace npucc::ops {
namespace {

/// One sample: acc [outputs, positions].
void convolve(const Convolution &conv, const int16_t *x, const int16_t *weights,
              std::vector<int16_t> &columns, int32_t *acc) {
  const Window &w = conv.window;
  int64_t positions = w.outSize(), depth = conv.depth(), outputs = conv.groupOutputs();
  int64_t inGroup = conv.groupChannels() * w.inSize(), block = unfoldBlock(conv, 2);
  for (int64_t g = 0; g < conv.groups; ++g, acc += outputs * positions) {
    const int16_t *input = x + g * inGroup, *kernels = weights + g * outputs * depth;
    if (conv.groupChannels() == 1 && outputs <= 4) { // depthwise
      std::fill_n(acc, outputs * positions, 0);
      forTapRows(w,
                 [&](int64_t tap, int64_t start, int64_t base, int64_t lo, int64_t hi, int64_t sx) {
                   for (int64_t m = 0; m < outputs; ++m) {
                     int32_t weight = kernels[m * depth + tap];
                     int32_t *row = acc + m * positions + start;
                     for (int64_t o = lo; o < hi; ++o)
                       row[o] += weight * input[base + o * sx];
                   }
                 });
      continue;
    }
    for (int64_t first = 0; first < positions; first += block) {
      int64_t count = std::min(block, positions - first);
      columns.resize(depth * count);
      unfold<int16_t>(w, input, conv.groupChannels(), first, first + count, columns.data(), 1,
                      depth, 0);
      integerGemm(kernels, columns.data(), acc + first, outputs, count, depth, positions);
    }
  }
}

Expected<Tensors> convInteger(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 2));
  const Tensor &x = inputs[0], &w = inputs[1];
  NPUCC_TAKE(conv, convolution(node, x.shape(), w.shape()));
  NPUCC_TAKE(zeroX, zeroPoints(inputs, 2, 1));
  NPUCC_TAKE(zeroW, zeroPoints(inputs, 3, conv.outputs));
  NPUCC_TAKE(out, allocate(ElementType::Int32, conv.outShape()));
  if (out.size() == 0)
    return one(out);
  NPUCC_TAKE(input, centred(x, zeroX, 1));
  NPUCC_TAKE(weights, centred(w, zeroW, conv.depth()));
  std::vector<int16_t> columns;
  int64_t sizeIn = conv.channels * conv.window.inSize();
  int64_t sizeOut = conv.outputs * conv.window.outSize();
  for (int64_t n = 0; n < conv.batch; ++n)
    convolve(conv, input.data() + n * sizeIn, weights.data(), columns,
             out.mutableValues<int32_t>().data() + n * sizeOut);
  return one(out);
}

Expected<Tensors> qLinearConv(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 8));
  const Tensor &x = inputs[0], &w = inputs[3];
  NPUCC_TAKE(conv, convolution(node, x.shape(), w.shape()));
  NPUCC_TAKE(scaleX, scales(inputs, 1, 1));
  NPUCC_TAKE(zeroX, zeroPoints(inputs, 2, 1));
  NPUCC_TAKE(scaleW, scales(inputs, 4, conv.outputs));
  NPUCC_TAKE(zeroW, zeroPoints(inputs, 5, conv.outputs));
  NPUCC_TAKE(scaleY, scales(inputs, 6, 1));
  NPUCC_TAKE(zeroY, zeroPoints(inputs, 7, 1));
  bool biased = present(inputs, 8);
  if (biased && (inputs[8].type() != ElementType::Int32 || inputs[8].size() != conv.outputs))
    return fail("bias must be int32 with " + Twine(conv.outputs) + " elements");
  ElementType type = inputs[7].type();
  NPUCC_TAKE(out, allocate(type, conv.outShape()));
  if (out.size() == 0)
    return one(out);
  NPUCC_TAKE(input, centred(x, zeroX, 1));
  NPUCC_TAKE(weights, centred(w, zeroW, conv.depth()));
  int64_t positions = conv.window.outSize(), sizeIn = conv.channels * conv.window.inSize();
  std::vector<int16_t> columns;
  std::vector<int32_t> acc(conv.outputs * positions);
  for (int64_t n = 0; n < conv.batch; ++n) {
    convolve(conv, input.data() + n * sizeIn, weights.data(), columns, acc.data());
    for (int64_t m = 0; m < conv.outputs; ++m) {
      int32_t *row = acc.data() + m * positions;
      if (biased) {
        uint32_t bias = static_cast<uint32_t>(inputs[8].values<int32_t>()[m]);
        for (int64_t p = 0; p < positions; ++p)
          row[p] = static_cast<int32_t>(static_cast<uint32_t>(row[p]) + bias);
      }
      float multiplier = scaleX[0] * scaleW[scaleW.size() == 1 ? 0 : m] / scaleY[0];
      requantize(row, positions, multiplier, zeroY[0], type,
                 out.mutableData() + (n * conv.outputs + m) * positions);
    }
  }
  return one(out);
}

Error inferConvInteger(InferContext &c) { return inferConvolution(c, 1, ElementType::Int32); }
Error inferQLinearConv(InferContext &c) {
  NPUCC_TRY(require(c, 8));
  NPUCC_TRY(inferConvolution(c, 3, typeOf(c, 7)));
  auto w = dimsOf(c, 3);
  return expectSize(c, 8, "bias", w && !w->empty() ? (*w)[0] : -1);
}

} // namespace

llvm::ArrayRef<OpInfo> integerConvolutionOps() {
  static const OpInfo table[] = {
      {"", "ConvInteger", 10, inferConvInteger, convInteger, convolutionMacs<1>},
      {"", "QLinearConv", 10, inferQLinearConv, qLinearConv, convolutionMacs<3>},
  };
  return table;
}

} // namespace npucc::ops
