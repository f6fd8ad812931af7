//===- Einsum.cpp - Einstein summation by batched products ----------------===//
//
// Operands are contracted from the left, two at a time: labels of both that are
// needed later are batch, those that are not are summed by the product.
//
//===----------------------------------------------------------------------===//

#include "runtime/ops/Families.h"
#include "runtime/ops/Matmul.h"

#include "llvm/ADT/StringExtras.h"

namespace npucc::ops {
namespace {

/// Labels are letters; dimensions of "..." are the numbers 1, 2, ... from the right.
using Labels = std::string;

struct Equation {
  std::vector<Labels> terms;
  Labels result;
};

/// The labels of one term; "..." becomes `ellipsis` labels.
Expected<Labels> termLabels(llvm::StringRef term, size_t ellipsis) {
  Labels labels;
  while (!term.empty()) {
    if (term.consume_front("...")) {
      for (size_t i = ellipsis; i-- > 0;)
        labels.push_back(static_cast<char>(i + 1));
      continue;
    }
    if (!llvm::isAlpha(term[0]))
      return fail("equation has the character '" + term.take_front(1) + "'");
    labels.push_back(term[0]);
    term = term.drop_front();
  }
  return labels;
}

Expected<Equation> parse(const Node &node, ArrayRef<int64_t> ranks) {
  std::string text = node.getString("equation", "");
  llvm::erase(text, ' ');
  auto [left, right] = llvm::StringRef(text).split("->");
  bool explicitResult = llvm::StringRef(text).contains("->");
  llvm::SmallVector<llvm::StringRef, 4> parts;
  left.split(parts, ',');
  if (parts.size() != ranks.size())
    return fail("equation has " + Twine(parts.size()) + " terms for " + Twine(ranks.size()) +
                " inputs");
  size_t ellipsis = 0;
  std::vector<size_t> own;
  for (size_t i = 0; i < parts.size(); ++i) {
    size_t letters = parts[i].size() - (parts[i].contains("...") ? 3 : 0);
    int64_t rest = ranks[i] - static_cast<int64_t>(letters);
    if (rest < 0 || (rest > 0 && !parts[i].contains("...")) || rest > 30)
      return fail("term '" + parts[i] + "' does not fit rank " + Twine(ranks[i]));
    own.push_back(static_cast<size_t>(rest));
    ellipsis = std::max(ellipsis, own.back());
  }
  Equation result;
  for (size_t i = 0; i < parts.size(); ++i) {
    NPUCC_TAKE(labels, termLabels(parts[i], own[i]));
    if (static_cast<int64_t>(labels.size()) != ranks[i])
      return fail("term '" + parts[i] + "' does not fit rank " + Twine(ranks[i]));
    result.terms.push_back(labels);
  }
  if (explicitResult) {
    NPUCC_TAKE(labels, termLabels(right, ellipsis));
    result.result = labels;
  } else { // "..." and then every letter that is used once, in alphabetical order
    for (size_t i = ellipsis; i-- > 0;)
      result.result.push_back(static_cast<char>(i + 1));
    for (char c = 'A'; c <= 'z'; ++c) {
      size_t uses = 0;
      for (const Labels &term : result.terms)
        uses += static_cast<size_t>(llvm::count(term, c));
      if (uses == 1)
        result.result.push_back(c);
    }
  }
  for (size_t i = 0; i < result.result.size(); ++i) {
    char c = result.result[i];
    bool known =
        llvm::any_of(result.terms, [&](const Labels &t) { return llvm::is_contained(t, c); });
    if (!known || result.result.find(c, i + 1) != std::string::npos)
      return fail("equation '" + text + "' has a result that does not follow from its terms");
  }
  return result;
}

/// The size of each label; 1 broadcasts.
using Sizes = std::array<int64_t, 128>;
Expected<Sizes> labelSizes(const Equation &equation, ArrayRef<Shape> shapes) {
  Sizes sizes;
  sizes.fill(1);
  for (size_t i = 0; i < shapes.size(); ++i)
    for (size_t d = 0; d < shapes[i].size(); ++d) {
      int64_t &size = sizes[static_cast<size_t>(equation.terms[i][d])];
      int64_t here = shapes[i][d];
      if (size == 1 || (size < 0 && here > 1))
        size = here;
      else if (here > 1 && here != size)
        return fail("dimensions " + Twine(size) + " and " + Twine(here) + " share a label");
    }
  return sizes;
}

struct Operand {
  Tensor tensor;
  Labels labels;
};

/// The operand with dimensions in the order of `order`: labels that it lacks or
/// that are 1 repeat, labels given twice are taken on the diagonal.
Expected<Tensor> arranged(const Operand &operand, const Labels &order, const Sizes &sizes) {
  Shape natural = rowMajorStrides(operand.tensor.shape()), shape, strides;
  for (char c : order) {
    int64_t stride = 0;
    for (size_t d = 0; d < operand.labels.size(); ++d)
      if (operand.labels[d] == c && operand.tensor.shape()[d] != 1)
        stride += natural[d];
    shape.push_back(sizes[static_cast<size_t>(c)]);
    strides.push_back(stride);
  }
  NPUCC_TAKE(out, allocate(operand.tensor.type(), shape));
  Walk walk(shape, strides);
  dispatchFloat(out.type(), [&](auto tag) {
    using T = decltype(tag);
    const T *from = operand.tensor.values<T>().data();
    T *to = out.mutableValues<T>().data();
    walk.rows([&](const int64_t *offset, int64_t first) {
      for (int64_t i = 0; i < walk.rowLength(); ++i)
        to[first + i] = from[offset[0] + i * walk.innerStride(0)];
    });
  });
  return std::move(out);
}

int64_t extent(const Labels &labels, const Sizes &sizes) {
  Shape shape;
  for (char c : labels)
    shape.push_back(sizes[static_cast<size_t>(c)]);
  return product(shape);
}

/// Sums the labels that are not in `keep`, and takes diagonals.
Expected<Operand> reduced(const Operand &operand, const Labels &keep, const Sizes &sizes) {
  Labels kept, summed;
  for (char c : operand.labels) {
    if (llvm::is_contained(kept, c) || llvm::is_contained(summed, c))
      continue;
    (llvm::is_contained(keep, c) ? kept : summed).push_back(c);
  }
  if (summed.empty() && kept == operand.labels)
    return operand;
  NPUCC_TAKE(full, arranged(operand, kept + summed, sizes));
  if (summed.empty())
    return Operand{full, kept};
  Shape shape;
  for (char c : kept)
    shape.push_back(sizes[static_cast<size_t>(c)]);
  NPUCC_TAKE(out, allocate(full.type(), shape));
  int64_t n = extent(summed, sizes);
  dispatchFloat(out.type(), [&](auto tag) {
    using T = decltype(tag);
    const T *from = full.template values<T>().data();
    for (T &target : out.mutableValues<T>())
      for (int64_t i = 0; i < n; ++i)
        target += *from++;
  });
  return Operand{out, kept};
}

/// Product of two operands with the labels in `keep`.
Expected<Operand> contract(const Operand &a, const Operand &b, const Labels &keep,
                           const Sizes &sizes) {
  NPUCC_TAKE(left, reduced(a, keep + b.labels, sizes));
  NPUCC_TAKE(right, reduced(b, keep + a.labels, sizes));
  Labels batch, sum, onlyLeft, onlyRight;
  for (char c : left.labels)
    (!llvm::is_contained(right.labels, c) ? onlyLeft
     : llvm::is_contained(keep, c)        ? batch
                                          : sum)
        .push_back(c);
  for (char c : right.labels)
    if (!llvm::is_contained(left.labels, c))
      onlyRight.push_back(c);
  NPUCC_TAKE(x, arranged(left, batch + onlyLeft + sum, sizes));
  NPUCC_TAKE(y, arranged(right, batch + sum + onlyRight, sizes));
  int64_t batches = extent(batch, sizes), rows = extent(onlyLeft, sizes);
  int64_t depth = extent(sum, sizes), columns = extent(onlyRight, sizes);
  NPUCC_TAKE(flatX, viewed(x, {batches, rows, depth}));
  NPUCC_TAKE(flatY, viewed(y, {batches, depth, columns}));
  NPUCC_TAKE(product, matmulFloat(flatX, flatY));
  Labels labels = batch + onlyLeft + onlyRight;
  Shape shape;
  for (char c : labels)
    shape.push_back(sizes[static_cast<size_t>(c)]);
  NPUCC_TAKE(result, viewed(product, shape));
  return Operand{result, labels};
}

Expected<Tensors> einsum(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, std::max<size_t>(1, inputs.size())));
  std::vector<int64_t> ranks;
  std::vector<Shape> shapes;
  ElementType type = inputs[0].type();
  for (const Tensor &input : inputs) {
    if (input.type() != type)
      return fail("inputs have different types");
    ranks.push_back(input.rank());
    shapes.emplace_back(input.shape().begin(), input.shape().end());
  }
  NPUCC_TAKE(equation, parse(node, ranks));
  NPUCC_TAKE(sizes, labelSizes(equation, shapes));
  // Integers are exact in fp64 up to 2^53.
  ElementType computed = isInteger(type) ? ElementType::Float64 : type;
  if (computed != ElementType::Float32 && computed != ElementType::Float64)
    return unsupportedType(type);
  Operand result{as(inputs[0], computed), equation.terms[0]};
  for (size_t i = 1; i < inputs.size(); ++i) {
    Labels keep = equation.result;
    for (size_t k = i + 1; k < inputs.size(); ++k)
      keep += equation.terms[k];
    NPUCC_TAKE(next, contract(result, {as(inputs[i], computed), equation.terms[i]}, keep, sizes));
    result = next;
  }
  NPUCC_TAKE(small, reduced(result, equation.result, sizes));
  NPUCC_TAKE(out, arranged(small, equation.result, sizes));
  return one(as(out, type));
}

struct StaticEquation {
  Equation equation;
  Sizes sizes;
};
std::optional<Expected<StaticEquation>> equationOf(const Node &node,
                                                   ArrayRef<const Value *> inputs) {
  std::vector<int64_t> ranks;
  std::vector<Shape> shapes;
  for (const Value *input : inputs) {
    auto dims = dimsOf(input);
    if (!dims)
      return std::nullopt;
    ranks.push_back(static_cast<int64_t>(dims->size()));
    shapes.push_back(*dims);
  }
  auto equation = parse(node, ranks);
  if (!equation)
    return Expected<StaticEquation>(equation.takeError());
  auto sizes = labelSizes(*equation, shapes);
  if (!sizes)
    return Expected<StaticEquation>(sizes.takeError());
  return Expected<StaticEquation>(StaticEquation{*equation, *sizes});
}

Error inferEinsum(InferContext &c) {
  NPUCC_TRY(require(c, std::max<size_t>(1, c.inputs.size())));
  NPUCC_TRY(oneType(c));
  auto known = equationOf(c.node, c.inputs);
  if (!known) {
    setOutput(c, 0, typeOf(c, 0));
    return Error::success();
  }
  if (!*known)
    return known->takeError();
  Shape shape;
  for (char label : (*known)->equation.result)
    shape.push_back((*known)->sizes[static_cast<size_t>(label)]);
  setOutput(c, 0, typeOf(c, 0), shape);
  return Error::success();
}

/// Every combination of labels is one multiplication (per further operand).
int64_t einsumMacs(const Node &node, ArrayRef<const Value *> inputs, ArrayRef<const Value *>) {
  auto known = equationOf(node, inputs);
  if (!known)
    return 0;
  if (!*known) {
    llvm::consumeError(known->takeError());
    return 0;
  }
  if (!isStatic((*known)->sizes))
    return 0;
  return product({product((*known)->sizes), static_cast<int64_t>(inputs.size() - 1)});
}

} // namespace

llvm::ArrayRef<OpInfo> einsumOps() {
  static const OpInfo table[] = {
      {"", "Einsum", 12, inferEinsum, widened<einsum>, einsumMacs},
  };
  return table;
}

} // namespace npucc::ops
