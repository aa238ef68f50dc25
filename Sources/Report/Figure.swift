/// A figure: its data, its gnuplot commands and its caption.
///
/// Its files are `NAME.svg` and `NAME.png`, drawn by `NAME.gp` from `NAME….dat`. No name contains user text.
struct Figure {
  /// The base name of its files.
  let name: String
  /// A short title.
  let title: String
  /// What the figure shows, how it was computed and how to read it.
  let caption: String
  /// The height in pixels; the width is `width`.
  let height: Int
  /// Its data files.
  let tables: [DataTable]
  /// The gnuplot commands, in which the variable `name` holds the figure's name. They contain no user text.
  let commands: String
  /// The interactive version for the page's script; nil if it is too large for a page.
  var live: LiveFigure?

  /// The width in pixels.
  static let width = 1200

  /// The gnuplot script, which draws the figure as SVG and as PNG.
  var script: String {
    """
    # gnuplot --default-settings \(name).gp draws \(name).svg and \(name).png
    name = '\(name)'
    do for [format in 'svg png'] {
    reset
    if (format eq 'svg') {
      set terminal svg size \(Self.width),\(height) dynamic noenhanced background '#ffffff' font 'sans-serif,17'
      small = ',14'
    } else {
      set terminal pngcairo size \(Self.width),\(height) noenhanced background '#ffffff' font 'Sans,13'
      small = ',10'
    }
    set output name.'.'.format
    set encoding utf8
    set datafile separator tab
    set datafile commentschars ''
    set datafile columnheaders
    set border lc '#777777'
    set tics nomirror out scale 0.6 textcolor '#444444'
    set grid lc '#e6e6e6' lt 1
    set key noautotitle opaque Left reverse samplen 2 spacing 1.2 textcolor '#222222'
    set style fill solid noborder
    \(Palette.commands)
    \(commands)
    unset output
    }

    """
  }
}

/// Colours that remain distinguishable with colour vision deficiencies.
enum Palette {
  /// Okabe and Ito's categorical colours without yellow, the lightest: blue, vermilion, green, purple, orange, sky blue, black.
  /// Okabe & Ito, "Color Universal Design", 2008.
  static let categories = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000",
  ]

  /// The trained model, or the only series.
  static let main = categories[0]
  /// The series it is compared with: random weights, a fit.
  static let other = categories[1]
  /// Missing entries, and entries that are 1 by definition.
  static let blank = "#dddddd"

  /// Colour i; the colours repeat after the last one.
  static func category(_ i: Int) -> String { categories[i % categories.count] }

  /// The perceptually uniform colour map viridis: van der Walt and Smith, matplotlib 1.5, 2015.
  static let commands =
    "set palette defined (0 '#440154', 1 '#472d7b', 2 '#3b528b', 3 '#2c728e', 4 '#21918c', "
    + "5 '#28ae80', 6 '#5ec962', 7 '#addc30', 8 '#fde725')"
}
