import Files
import Checkpoint
import LinearAlgebra

/// An image in the form that vision models take: scaled to the model's size and normalised as in its training.
public struct PixelValues: Sendable, Equatable {
  /// The number of channels.
  public let channels: Int
  /// The number of rows of pixels.
  public let height: Int
  /// The number of pixels in a row.
  public let width: Int
  /// The values, (channels, height, width).
  public let values: [Float]

  /// Creates pixel values. Precondition: there is one value per channel and pixel.
  public init(channels: Int, height: Int, width: Int, values: [Float]) {
    precondition(values.count == channels * height * width, "one value per pixel and channel")
    (self.channels, self.height, self.width) = (channels, height, width)
    self.values = values
  }

  /// Reads the tensor `pixel_values` of a .safetensors file: (channels, height, width), or a batch of one such image.
  ///
  /// Throws `FileError` for a file without it, or if its shape is another.
  public init(safetensors path: String) throws(FileError) {
    let tensor = try SafetensorsFile(path).tensor("pixel_values")
    let sides =
      tensor.shape.count == 4 && tensor.shape[0] == 1 ? tensor.shape.dropFirst() : tensor.shape[...]
    guard sides.count == 3 else {
      throw .wrongShape(
        file: path, tensor: tensor.name, shape: tensor.shape,
        needed: "one image, [channels, height, width]")
    }
    let first = sides.startIndex
    self.init(
      channels: sides[first], height: sides[first + 1], width: sides[first + 2],
      values: tensor.numbers())
  }

  /// The image's patches, row by row: (patches, channels · height · width of a patch), with features in the order of
  /// a convolution's kernel. Pixels beyond the last whole patch are dropped, as by a convolution.
  func patches<S: RealScalar>(height h: Int, width w: Int) -> Matrix<S> {
    let (rows, columns) = (height / h, width / w)
    var elements: [S] = []
    elements.reserveCapacity(rows * columns * channels * h * w)
    for row in 0..<rows {
      for column in 0..<columns {
        for channel in 0..<channels {
          for y in row * h..<(row + 1) * h {
            let start = (channel * height + y) * width + column * w
            elements += values[start..<start + w].map { S($0) }
          }
        }
      }
    }
    return Matrix(rows: rows * columns, columns: channels * h * w, elements: elements)
  }
}
