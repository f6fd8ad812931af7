//===- Loss.cpp - NegativeLogLikelihoodLoss, SoftmaxCrossEntropyLoss ------===//
//
// Rare in inference, but exporters leave them in and ONNX tests them widely.
//
//===----------------------------------------------------------------------===//

#include "runtime/ops/Families.h"
#include "runtime/ops/Support.h"

namespace npucc::ops {
namespace {

Expected<Shape> lossShape(const Node &node, ArrayRef<int64_t> x, ArrayRef<int64_t> target) {
  if (x.size() < 2 || target.size() + 1 != x.size())
    return fail("input " + text(x) + " and target " + text(target) + " do not fit");
  std::string reduction = node.getString("reduction", "mean");
  if (reduction == "none")
    return Shape(target.begin(), target.end());
  if (reduction != "mean" && reduction != "sum")
    return fail("reduction '" + reduction + "' is not known");
  return Shape();
}

/// -weight[target] * log probability, reduced; x [N, C, ...] holds logarithms.
Expected<Tensor> negativeLogLikelihood(const Node &node, const Tensor &x, const Tensor &target,
                                       const Tensor &weight) {
  NPUCC_TAKE(shape, lossShape(node, x.shape(), target.shape()));
  int64_t n = x.shape()[0], c = x.shape()[1], inner = product(x.shape().drop_front(2));
  if (target.size() != n * inner)
    return fail("target " + text(target.shape()) + " does not fit " + text(x.shape()));
  if (weight.defined() && (weight.size() != c || weight.type() != x.type()))
    return fail("weight " + text(weight.shape()) + " does not fit " + Twine(c) + " classes");
  NPUCC_TAKE(out, allocate(x.type(), shape));
  std::string reduction = node.getString("reduction", "mean");
  bool ignores = node.has("ignore_index");
  int64_t ignored = node.getInt("ignore_index", 0);
  for (int64_t i = 0; i < target.size(); ++i) {
    int64_t k = target.asInt(i);
    if (!(ignores && k == ignored) && (k < 0 || k >= c))
      return fail("target " + Twine(k) + " is out of range for " + Twine(c) + " classes");
  }
  if (!dispatchFloat(x.type(), [&](auto tag) {
        using T = decltype(tag);
        double sum = 0, weights = 0;
        T *to = out.mutableValues<T>().data();
        for (int64_t i = 0; i < target.size(); ++i) {
          int64_t k = target.asInt(i);
          T w = ignores && k == ignored ? T(0) : weight.defined() ? weight.values<T>()[k] : T(1);
          T loss = w == 0 ? T(0) : -w * x.values<T>()[(i / inner * c + k) * inner + i % inner];
          sum += loss;
          weights += w;
          if (reduction == "none")
            to[i] = loss;
        }
        if (reduction != "none")
          to[0] = static_cast<T>(reduction == "sum" ? sum : sum / weights);
      }))
    return unsupportedType(x.type());
  return std::move(out);
}

Expected<Tensors> likelihoodLoss(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 2));
  NPUCC_TAKE(out, negativeLogLikelihood(node, inputs[0], inputs[1],
                                        present(inputs, 2) ? inputs[2] : Tensor()));
  return one(out);
}

Expected<Tensors> crossEntropyLoss(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 2));
  Node softmax;
  softmax.attributes["axis"].value = int64_t(1);
  if (inputs[0].rank() < 2)
    return fail("input " + text(inputs[0].shape()) + " must have rank 2 or more");
  auto logarithms = findOp("", "LogSoftmax")->kernel(softmax, inputs.take_front(1));
  if (!logarithms)
    return logarithms.takeError();
  NPUCC_TAKE(out, negativeLogLikelihood(node, (*logarithms)[0], inputs[1],
                                        present(inputs, 2) ? inputs[2] : Tensor()));
  Tensors results = one(out);
  results.push_back((*logarithms)[0]);
  return results;
}

Error inferLoss(InferContext &c) {
  NPUCC_TRY(require(c, 2));
  auto x = dimsOf(c, 0), target = dimsOf(c, 1);
  setOutput(c, 0, typeOf(c, 0));
  setOutput(c, 1, typeOf(c, 0), x);
  if (x && target)
    return setShape(c, typeOf(c, 0), lossShape(c.node, *x, *target));
  return Error::success();
}

} // namespace

llvm::ArrayRef<OpInfo> lossOps() {
  static const OpInfo table[] = {
      {"", "NegativeLogLikelihoodLoss", 13, inferLoss, widened<likelihoodLoss>},
      {"", "SoftmaxCrossEntropyLoss", 13, inferLoss, widened<crossEntropyLoss>},
  };
  return table;
}

} // namespace npucc::ops
