public import LinearAlgebra
import Weights

/// The Jacobian Jᵢ in the singular basis of Jⱼ, and its distance from diag(s_{i,1} … s_{i,K}).
///
///     form same     A_K(i|j) = U_{j,K}ᵀ Jᵢ V_{j,K}                            (K, K)
///     form crossed  B_K(i|j) = V_{j,K}ᵀ Jᵢ U_{j,K}
///     misfit        m_K(i|j) = ‖A* − S_{i,K}‖_F / ‖(s_{i,1} … s_{i,K})‖_p     A* = A or |A|
///
/// m(i|i) = 0 for the form `same`; m does not change if either Jacobian is multiplied by a positive number, or a pair
/// (uₖ, vₖ) by a common sign. It may exceed 1. With s₁ ≥ … ≥ s_K, m^(1) = m^(2) ‖S_K‖_F / tr S_K, so m^(2)/√K ≤ m^(1)
/// ≤ m^(2). It is not symmetric in i and j. Every smaller rank K′ < K is included: its A is the leading block.
///
/// Aubry et al., "Transformer Block Coupling and its Correlation with Generalization in LLMs", arXiv 2407.07810.
public struct BlockCoupling: Sendable {
  /// The product that `matrix` is.
  public let form: CouplingForm
  /// The matrix A or B (K, K).
  public let matrix: Matrix<Double>
  /// s_{i,1} … s_{i,K}, largest first: the singular values of Jᵢ, not of the basis.
  public let singularValues: [Double]
  /// ⟨image a, image b⟩ (K, K), from which bounds of the coupling compute the images' part outside the basis; nil if not
  /// kept.
  public let imageGram: Matrix<Double>?

  /// The largest rank, K.
  public var rank: Int { singularValues.count }

  /// Creates a coupling from a known matrix A or B (K, K) and the K leading singular values of Jᵢ.
  public init(
    form: CouplingForm, matrix: Matrix<Double>, singularValues: [Double],
    imageGram: Matrix<Double>? = nil
  ) {
    let k = singularValues.count
    precondition(
      matrix.rows == k && matrix.columns == k,
      "A is \(matrix.rows) × \(matrix.columns) for \(k) singular values")
    self.form = form
    self.matrix = matrix
    self.singularValues = singularValues
    self.imageGram = imageGram
  }

  /// Computes the coupling from the images of one side of the basis and the vectors of the other.
  ///
  /// `images` (K, d): row k is Jᵢ v_{j,k} (same) or Jᵢ u_{j,k} (crossed). `basis` (K, d): row k is u_{j,k} or
  /// v_{j,k}. Cost: K² d.
  public init(
    form: CouplingForm, images: Matrix<Double>, basis: Matrix<Double>, singularValues: [Double]
  ) {
    // (K, d) · (K, d)ᵀ → (K, K): entry (a, b) = ⟨basis a, image b⟩
    self.init(
      form: form, matrix: Engine.products(ofRows: basis, images),
      singularValues: singularValues, imageGram: Engine.products(ofRows: images, images))
  }

  /// Computes the coupling by applying Jᵢ to the K leading vectors of `other`, where K is the number of values given.
  /// Cost: K applications.
  public init(
    form: CouplingForm, of jacobian: any LinearOperator, singularValues: [Double],
    inBasisOf other: SingularTriplets
  ) {
    let k = singularValues.count
    precondition(
      k <= other.singularValues.count, "a basis of \(other.singularValues.count) for \(k) values")
    let (into, outOf) =
      form == .same
      ? (other.rightVectors, other.leftVectors) : (other.leftVectors, other.rightVectors)
    self.init(
      form: form, images: jacobian.apply(into.prefix(k)), basis: outOf.prefix(k),
      singularValues: singularValues)
  }

  /// m_K′(i|j) for a rank K′ ≤ K (K by default); nil if tr S_{i,K′} = 0 or a number is not finite.
  public func misfit(
    rank requested: Int? = nil, sign: CouplingSign = .signed,
    normalisation: CouplingNormalisation = .frobenius
  ) -> Double? {
    let k = checked(requested)
    let norm = normalisation.norm(singularValues[..<k])
    guard norm > 0, norm.isFinite else { return nil }
    var square = 0.0
    for a in 0..<k {
      for b in 0..<k {
        let entry = sign == .signed ? matrix[a, b] : abs(matrix[a, b])
        // Divided before squaring, so that the scale of the Jacobian cannot cause an overflow.
        let difference = (entry - (a == b ? singularValues[a] : 0)) / norm
        square += difference * difference
      }
    }
    return square.isFinite ? square.squareRoot() : nil
  }

  /// A score of the misfit; nil if the misfit is nil.
  public func score(
    _ score: CouplingScore = .oneMinus, rank: Int? = nil, sign: CouplingSign = .signed,
    normalisation: CouplingNormalisation = .frobenius
  ) -> Double? {
    misfit(rank: rank, sign: sign, normalisation: normalisation).map(score.callAsFunction)
  }

  /// |A_K′| (K′, K′), as shown in a heat map of the pair.
  public func magnitudes(rank requested: Int? = nil) -> Matrix<Double> {
    let k = checked(requested)
    return Matrix((0..<k).map { a in matrix.row(a).prefix(k).map(abs) })
  }

  private func checked(_ requested: Int?) -> Int {
    let k = requested ?? rank
    precondition(k >= 1 && k <= rank, "rank \(k) of a coupling of rank \(rank)")
    return k
  }
}
