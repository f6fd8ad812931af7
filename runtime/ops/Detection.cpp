//===- Detection.cpp - NonMaxSuppression, Unique --------------------------===//

#include "runtime/ops/Families.h"
#include "runtime/ops/Support.h"

#include <numeric>

namespace npucc::ops {
namespace {

struct Box {
  float x0, y0, x1, y1;
  float area() const { return (x1 - x0) * (y1 - y0); }
};

float overlap(const Box &a, const Box &b) {
  float w = std::min(a.x1, b.x1) - std::max(a.x0, b.x0);
  float h = std::min(a.y1, b.y1) - std::max(a.y0, b.y0);
  if (w <= 0 || h <= 0 || a.area() <= 0 || b.area() <= 0)
    return 0;
  return w * h / (a.area() + b.area() - w * h);
}

Expected<Tensors> nonMaxSuppression(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 2));
  const Tensor &boxes = inputs[0], &scores = inputs[1];
  if (boxes.rank() != 3 || scores.rank() != 3 || boxes.shape()[2] != 4 ||
      boxes.shape()[0] != scores.shape()[0] || boxes.shape()[1] != scores.shape()[2])
    return fail("boxes " + text(boxes.shape()) + " and scores " + text(scores.shape()) +
                " should be [batch, n, 4] and [batch, classes, n]");
  if (boxes.type() != ElementType::Float32 || scores.type() != ElementType::Float32)
    return fail("boxes and scores must be fp32");
  for (size_t i = 2; i < 5; ++i)
    if (present(inputs, i) && inputs[i].size() != 1)
      return fail("input " + Twine(i) + " must be a scalar");
  int64_t limit = present(inputs, 2) ? inputs[2].asInt(0) : 0;
  float threshold = present(inputs, 3) ? static_cast<float>(inputs[3].asDouble(0)) : 0;
  bool filtered = present(inputs, 4);
  float least = filtered ? static_cast<float>(inputs[4].asDouble(0)) : 0;
  bool centred = node.getInt("center_point_box", 0) != 0;
  int64_t batches = boxes.shape()[0], n = boxes.shape()[1], classes = scores.shape()[1];

  std::vector<int64_t> found;
  std::vector<int64_t> order, kept;
  std::vector<Box> corners(batches ? n : 0);
  for (int64_t b = 0; b < batches && limit > 0; ++b) {
    for (int64_t i = 0; i < n; ++i) {
      const float *p = boxes.values<float>().data() + (b * n + i) * 4;
      if (centred) // x, y of the centre, width, height
        corners[i] = {p[0] - p[2] / 2, p[1] - p[3] / 2, p[0] + p[2] / 2, p[1] + p[3] / 2};
      else // y1, x1, y2, x2 of any two opposite corners
        corners[i] = {std::min(p[1], p[3]), std::min(p[0], p[2]), std::max(p[1], p[3]),
                      std::max(p[0], p[2])};
    }
    for (int64_t c = 0; c < classes; ++c) {
      const float *score = scores.values<float>().data() + (b * classes + c) * n;
      order.clear();
      for (int64_t i = 0; i < n; ++i)
        if (!std::isnan(score[i]) && (!filtered || score[i] > least))
          order.push_back(i);
      std::sort(order.begin(), order.end(), [&](int64_t i, int64_t j) {
        return score[i] != score[j] ? score[i] > score[j] : i < j;
      });
      kept.clear();
      for (int64_t i : order) {
        if (static_cast<int64_t>(kept.size()) >= limit)
          break;
        if (llvm::any_of(kept,
                         [&](int64_t k) { return overlap(corners[i], corners[k]) > threshold; }))
          continue;
        kept.push_back(i);
        found.insert(found.end(), {b, c, i});
      }
    }
  }
  return one(
      Tensor::of<int64_t>(ElementType::Int64, {static_cast<int64_t>(found.size()) / 3, 3}, found));
}
Error inferNonMaxSuppression(InferContext &c) {
  NPUCC_TRY(require(c, 2));
  setOutput(c, 0, ElementType::Int64, Shape{-1, 3});
  return Error::success();
}

//===----------------------------------------------------------------------===//
// Unique
//===----------------------------------------------------------------------===//

Expected<Tensors> unique(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 1));
  Tensor x = inputs[0];
  int64_t axis = 0;
  if (node.has("axis")) {
    NPUCC_TAKE(normal, normalizeAxis(node.getInt("axis", 0), x.rank()));
    axis = normal;
  } else {
    x = x.reshaped({x.size()});
  }
  bool sorted = node.getInt("sorted", 1) != 0;
  int64_t n = x.shape()[axis], outer = product(x.shape().take_front(axis));
  int64_t inner = product(x.shape().drop_front(axis + 1));
  Tensors results;
  Error problem = Error::success();
  bool known = dispatchNumeric(x.type(), [&](auto tag) {
    using T = decltype(tag);
    const T *from = x.values<T>().data();
    auto compare = [&](int64_t a, int64_t b) { // slices a and b along the axis
      for (int64_t o = 0; o < outer; ++o)
        for (int64_t i = 0; i < inner; ++i) {
          T p = from[(o * n + a) * inner + i], q = from[(o * n + b) * inner + i];
          bool less = p < q || (q != q && p == p); // NaN lies behind all numbers
          if (less || q < p || (p != p && q == q))
            return less ? -1 : 1;
        }
      return 0;
    };
    std::vector<int64_t> order(n), first, counts, inverse(n);
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
      int less = compare(a, b);
      return less ? less < 0 : a < b;
    });
    for (int64_t k = 0; k < n; ++k) {
      if (k == 0 || compare(order[k - 1], order[k]) != 0) {
        first.push_back(order[k]); // the earliest, since ties keep their order
        counts.push_back(0);
      }
      ++counts.back();
      inverse[order[k]] = static_cast<int64_t>(first.size()) - 1;
    }
    int64_t groups = static_cast<int64_t>(first.size());
    if (!sorted) { // in the order of first occurrence
      std::vector<int64_t> rank(groups), place(groups), f(groups), c(groups);
      std::iota(rank.begin(), rank.end(), 0);
      std::sort(rank.begin(), rank.end(),
                [&](int64_t a, int64_t b) { return first[a] < first[b]; });
      for (int64_t g = 0; g < groups; ++g) {
        f[g] = first[rank[g]];
        c[g] = counts[rank[g]];
        place[rank[g]] = g;
      }
      first = f;
      counts = c;
      for (int64_t &i : inverse)
        i = place[i];
    }
    Shape shape(x.shape().begin(), x.shape().end());
    shape[axis] = groups;
    auto out = allocate(x.type(), shape);
    if (!out) {
      problem = llvm::joinErrors(std::move(problem), out.takeError());
      return;
    }
    T *to = out->template mutableValues<T>().data();
    for (int64_t o = 0; o < outer; ++o)
      for (int64_t g = 0; g < groups; ++g)
        for (int64_t i = 0; i < inner; ++i)
          *to++ = from[(o * n + first[g]) * inner + i];
    results.push_back(*out);
    results.push_back(Tensor::of<int64_t>(ElementType::Int64, {groups}, first));
    results.push_back(Tensor::of<int64_t>(ElementType::Int64, {n}, inverse));
    results.push_back(Tensor::of<int64_t>(ElementType::Int64, {groups}, counts));
  });
  if (problem)
    return std::move(problem);
  if (!known)
    return unsupportedType(x.type());
  return results;
}
Error inferUnique(InferContext &c) {
  NPUCC_TRY(require(c, 1));
  auto dims = dimsOf(c, 0);
  Shape list = unknown(1);
  Shape inverse = unknown(1);
  if (dims && c.node.has("axis")) {
    NPUCC_TAKE(axis, normalizeAxis(c.node.getInt("axis", 0), static_cast<int64_t>(dims->size())));
    inverse[0] = (*dims)[axis];
    (*dims)[axis] = -1;
    setOutput(c, 0, typeOf(c, 0), dims);
  } else {
    setOutput(c, 0, typeOf(c, 0), c.node.has("axis") ? std::nullopt : std::optional<Shape>(list));
  }
  setOutput(c, 1, ElementType::Int64, list);
  setOutput(c, 2, ElementType::Int64, inverse);
  setOutput(c, 3, ElementType::Int64, list);
  return Error::success();
}

} // namespace

llvm::ArrayRef<OpInfo> detectionOps() {
  static const OpInfo table[] = {
      {"", "NonMaxSuppression", 11, inferNonMaxSuppression, nonMaxSuppression},
      {"", "Unique", 11, inferUnique, widened<unique>},
  };
  return table;
}

} // namespace npucc::ops
