// The block RAM of the ECP5 as far as it is used here: two ports that write or read words of 1 to 18 bits, of the same
// width where both are used. As in Lattice's memory usage guide for ECP5: the lowest pins of an address are not for words
// of several bits, and enable the bytes of words of 18; what is read is there a cycle later, and two where the register
// is used.
/* verilator lint_off MULTIDRIVEN */
module DP16KD #(
    parameter integer DATA_WIDTH_A = 18, DATA_WIDTH_B = 18,
    parameter REGMODE_A = "NOREG", REGMODE_B = "NOREG", RESETMODE = "SYNC", ASYNC_RESET_RELEASE = "SYNC",
    parameter CSDECODE_A = "0b000", CSDECODE_B = "0b000", CLKAMUX = "CLKA", CLKBMUX = "CLKB",
    parameter WRITEMODE_A = "NORMAL", WRITEMODE_B = "NORMAL", GSR = "DISABLED"
) (
    input CLKA, CEA, OCEA, RSTA, WEA, CSA0, CSA1, CSA2, ADA0, ADA1, ADA2, ADA3, ADA4, ADA5, ADA6, ADA7, ADA8, ADA9,
    ADA10, ADA11, ADA12, ADA13, DIA0, DIA1, DIA2, DIA3, DIA4, DIA5, DIA6, DIA7, DIA8, DIA9, DIA10, DIA11, DIA12,
    DIA13, DIA14, DIA15, DIA16, DIA17,
    output DOA0, DOA1, DOA2, DOA3, DOA4, DOA5, DOA6, DOA7, DOA8, DOA9, DOA10, DOA11, DOA12, DOA13, DOA14, DOA15,
    DOA16, DOA17,
    input CLKB, CEB, OCEB, RSTB, WEB, CSB0, CSB1, CSB2, ADB0, ADB1, ADB2, ADB3, ADB4, ADB5, ADB6, ADB7, ADB8, ADB9,
    ADB10, ADB11, ADB12, ADB13, DIB0, DIB1, DIB2, DIB3, DIB4, DIB5, DIB6, DIB7, DIB8, DIB9, DIB10, DIB11, DIB12,
    DIB13, DIB14, DIB15, DIB16, DIB17,
    output DOB0, DOB1, DOB2, DOB3, DOB4, DOB5, DOB6, DOB7, DOB8, DOB9, DOB10, DOB11, DOB12, DOB13, DOB14, DOB15,
    DOB16, DOB17
);
    localparam UNUSED_A = DATA_WIDTH_A == 18 ? 4 : DATA_WIDTH_A == 9 ? 3 : DATA_WIDTH_A == 4 ? 2 : DATA_WIDTH_A == 2 ? 1 : 0;
    localparam UNUSED_B = DATA_WIDTH_B == 18 ? 4 : DATA_WIDTH_B == 9 ? 3 : DATA_WIDTH_B == 4 ? 2 : DATA_WIDTH_B == 2 ? 1 : 0;
    reg [17:0] words [0:16383];

    wire [13:0] address_a = {
        ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0
    };
    wire [17:0] written_a = {
        DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4, DIA3,
        DIA2, DIA1, DIA0
    };
    reg [17:0] read_a, behind_a;
    wire enabled_a = CEA & ~CSA0 & ~CSA1 & ~CSA2;
    always @(posedge CLKA) begin
        if (enabled_a & WEA & (DATA_WIDTH_A != 18 | ADA0)) words[address_a >> UNUSED_A][8:0] <= written_a[8:0];
        if (enabled_a & WEA & DATA_WIDTH_A == 18 & ADA1) words[address_a >> UNUSED_A][17:9] <= written_a[17:9];
        if (enabled_a & ~WEA) read_a <= words[address_a >> UNUSED_A];
        if (OCEA) behind_a <= read_a;
    end
    assign {
        DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3,
        DOA2, DOA1, DOA0
    } = REGMODE_A == "OUTREG" ? behind_a : read_a;

    wire [13:0] address_b = {
        ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0
    };
    wire [17:0] written_b = {
        DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4, DIB3,
        DIB2, DIB1, DIB0
    };
    reg [17:0] read_b, behind_b;
    wire enabled_b = CEB & ~CSB0 & ~CSB1 & ~CSB2;
    always @(posedge CLKB) begin
        if (enabled_b & WEB & (DATA_WIDTH_B != 18 | ADB0)) words[address_b >> UNUSED_B][8:0] <= written_b[8:0];
        if (enabled_b & WEB & DATA_WIDTH_B == 18 & ADB1) words[address_b >> UNUSED_B][17:9] <= written_b[17:9];
        if (enabled_b & ~WEB) read_b <= words[address_b >> UNUSED_B];
        if (OCEB) behind_b <= read_b;
    end
    assign {
        DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3,
        DOB2, DOB1, DOB0
    } = REGMODE_B == "OUTREG" ? behind_b : read_b;
endmodule
